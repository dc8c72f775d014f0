//! Tables for people.

use std::time::Duration;

use clap::ValueEnum;
use comfy_table::{Table, presets};

/// The output formats of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum TableForm {
    /// A table for people
    #[default]
    Table,
    /// The table with all columns
    Wide,
    /// JSON
    Json,
    /// YAML
    Yaml,
    /// Only names, one per line
    Name,
}

/// A table whose columns are separated by blanks only.
pub(super) fn plain(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

/// The table without trailing blanks.
pub(super) fn trimmed(table: &Table) -> String {
    let text = table.to_string();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n") + "\n"
}

/// An age as kubectl prints it: in the largest unit, with two units below ten minutes.
pub(super) fn age(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 if !seconds.is_multiple_of(60) => format!("{}m{}s", seconds / 60, seconds % 60),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}
