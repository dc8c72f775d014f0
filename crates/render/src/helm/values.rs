//! The values that a chart is rendered with.

pub mod methods;
pub(in crate::helm) mod read;
pub mod set;
pub mod origin;
pub mod references;

use super::error::Error;
use super::value::{Map, MapType, Value};
use origin::Origins;
use references::{Find, ValuesReference};
use set::{ReadFile, ValueKind, set};

/// The values that a user gives to a chart, combined in the order in which helm reads its flags.
#[derive(Debug)]
pub struct GivenValues {
    values: Map,
    origins: Origins,
}

impl Default for GivenValues {
    fn default() -> Self {
        Self { values: Map::new(MapType::Any), origins: Origins::default() }
    }
}

impl GivenValues {
    /// The values of a HelmRelease, its own and those that it refers to, in Flux's order.
    pub fn of_release(
        inline: &serde_json::Value,
        references: &[ValuesReference],
        namespace: &str,
        find: &Find<'_>,
    ) -> Result<Self, Error> {
        let mut origins = Origins::default();
        let values = references::resolve(inline, references, namespace, find, &mut origins)?;
        Ok(Self { values, origins })
    }

    /// Lays the values of a file over the existing ones. `name` is the file's name in messages.
    pub fn file(self, name: &str, text: &[u8]) -> Result<Self, Error> {
        let over =
            read::load_values(text).map_err(|error| error.within(format!("failed to parse {name}: ")))?;
        self.under(name, &over)
    }

    /// `--set-json`: a JSON object, or `key=value` with JSON values.
    pub fn json(self, line: &str) -> Result<Self, Error> {
        if line.trim_start().starts_with('{') {
            let failed = || Error::new(format!("failed parsing --set-json data JSON: {line}"));
            let read: serde_json::Value = serde_json::from_str(line.trim()).map_err(|_| failed())?;
            return match read::value_of(&read) {
                Value::Map(over) => self.under("--set-json", &over),
                _ => Err(failed()),
            };
        }
        self.line("--set-json", line, || ValueKind::Json)
            .map_err(|_| Error::new(format!("failed parsing --set-json data {line}")))
    }

    /// `--set`
    pub fn set(self, line: &str) -> Result<Self, Error> {
        self.line("--set", line, || ValueKind::Typed)
            .map_err(|error| error.within("failed parsing --set data: "))
    }

    /// `--set-string`
    pub fn text(self, line: &str) -> Result<Self, Error> {
        self.line("--set-string", line, || ValueKind::Text)
            .map_err(|error| error.within("failed parsing --set-string data: "))
    }

    /// `--set-file`, with a function that reads a file.
    pub fn content(mut self, line: &str, read: &mut ReadFile<'_>) -> Result<Self, Error> {
        let mut read = |path: &str| read(path);
        set(line, &self.values, ValueKind::File(&mut read))
            .map_err(|error| error.within("failed parsing --set-file data: "))?;
        let alone = Map::new(MapType::Any);
        // The origins need only the paths of the values, so the files are not read again.
        if set(line, &alone, ValueKind::Text).is_ok() {
            self.origins.add("--set-file", &alone);
        }
        Ok(self)
    }

    /// The values.
    pub fn values(&self) -> &Map {
        &self.values
    }

    /// The origins of the values.
    pub(super) fn origins(&self) -> &Origins {
        &self.origins
    }

    fn under(mut self, name: &str, over: &Map) -> Result<Self, Error> {
        self.origins.add(name, over);
        self.values = read::merge_maps(&self.values, over)?;
        Ok(self)
    }

    fn line<'k>(mut self, flag: &str, line: &str, kind: impl Fn() -> ValueKind<'k>) -> Result<Self, Error> {
        set(line, &self.values, kind())?;
        let alone = Map::new(MapType::Any);
        if set(line, &alone, kind()).is_ok() {
            self.origins.add(flag, &alone);
        }
        Ok(self)
    }
}
