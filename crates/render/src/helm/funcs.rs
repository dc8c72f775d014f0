//! The functions that templates call: one table from the name to the arguments and the function.
//!
//! Each file of this folder has a constant `TABLE` of [`Function`]s, which stands in [`TABLES`]. A name that
//! is in no table is an error when a template is parsed. Go's own functions (`and`, `eq`, `index`,
//! `print`...) are in `builtin`.

mod builtin;
pub mod flow;
mod convert;
mod types;
mod merge;
mod strings;
mod cases;
mod lists;
mod dicts;
mod math;
mod encoding;
mod random;
mod paths;
mod instant;
mod dates;
mod data;
mod semver;
mod regex;
mod url;
mod crypto;
mod certs;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::function::Function;

/// The tables. The last entry of a name wins.
const TABLES: &[&[Function]] = &[
    builtin::TABLE,
    flow::TABLE,
    strings::TABLE,
    cases::TABLE,
    lists::TABLE,
    dicts::TABLE,
    types::TABLE,
    math::TABLE,
    encoding::TABLE,
    random::TABLE,
    paths::TABLE,
    dates::TABLE,
    data::TABLE,
    semver::TABLE,
    regex::TABLE,
    url::TABLE,
    crypto::TABLE,
    certs::TABLE,
];

/// The target of a call by name.
#[derive(Debug, Clone, Copy)]
pub enum Callee {
    /// One of Go's own functions that see more than values: whether a nil is in an interface, or only some of
    /// the arguments.
    Builtin(Builtin),
    /// `include`, which needs the set of templates.
    Include,
    /// `tpl`, which needs the set of templates.
    Tpl,
    /// A function of the table.
    Function(&'static Function),
}

/// Go's own functions that take `reflect.Value`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Builtin {
    /// The first false argument, or the last one.
    And,
    /// Calls a function value.
    Call,
    /// Whether the first argument equals any other.
    Eq,
    /// Greater or equal.
    Ge,
    /// Greater.
    Gt,
    /// The item at a path of indexes.
    Index,
    /// Less or equal.
    Le,
    /// The number of items.
    Len,
    /// Less.
    Lt,
    /// Not equal.
    Ne,
    /// Not true.
    Not,
    /// The first true argument, or the last one.
    Or,
}

impl Builtin {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "and" => Self::And,
            "call" => Self::Call,
            "eq" => Self::Eq,
            "ge" => Self::Ge,
            "gt" => Self::Gt,
            "index" => Self::Index,
            "le" => Self::Le,
            "len" => Self::Len,
            "lt" => Self::Lt,
            "ne" => Self::Ne,
            "not" => Self::Not,
            "or" => Self::Or,
            _ => return None,
        })
    }

    /// The number of required arguments, and whether there may be more.
    pub fn arity(self) -> (usize, bool) {
        match self {
            Self::And | Self::Call | Self::Eq | Self::Index | Self::Or => (1, true),
            Self::Len | Self::Not => (1, false),
            Self::Ge | Self::Gt | Self::Le | Self::Lt | Self::Ne => (2, false),
        }
    }
}

/// The target of this name; `None` if there is no such function.
pub fn callee(name: &str) -> Option<Callee> {
    match name {
        "include" => Some(Callee::Include),
        "tpl" => Some(Callee::Tpl),
        _ => function(name).map(Callee::Function).or_else(|| Builtin::of(name).map(Callee::Builtin)),
    }
}

/// All functions by their names.
fn by_name() -> &'static BTreeMap<&'static str, &'static Function> {
    static BY_NAME: OnceLock<BTreeMap<&'static str, &'static Function>> = OnceLock::new();
    BY_NAME.get_or_init(|| {
        TABLES.iter().flat_map(|table| table.iter()).map(|function| (function.name, function)).collect()
    })
}

/// The function of this name.
pub fn function(name: &str) -> Option<&'static Function> {
    by_name().get(name).copied()
}

/// The names of all functions, in order.
pub fn names() -> impl Iterator<Item = &'static str> {
    by_name().keys().copied()
}
