//! The values that a chart is rendered with.

pub mod methods;
pub(in crate::helm) mod read;
pub mod set;
pub mod references;

use super::error::Error;
use super::value::{Map, MapType, Value};
use references::{Find, Reference};
use set::{Kind, ReadFile, set};

/// Values that a chart is given, put together in the order in which helm takes its flags.
#[derive(Debug)]
pub struct Given(Map);

impl Default for Given {
    fn default() -> Self {
        Self(Map::new(MapType::Any))
    }
}

impl Given {
    /// The values of a HelmRelease: those that stand in it and those that it refers to, in Flux's order.
    pub fn of_release(
        inline: &serde_json::Value,
        references: &[Reference],
        namespace: &str,
        find: &Find<'_>,
    ) -> Result<Self, Error> {
        references::resolve(inline, references, namespace, find).map(Self)
    }

    /// Lays the values of a file over those that are there. `name` is what messages call the file.
    pub fn file(self, name: &str, text: &[u8]) -> Result<Self, Error> {
        let over =
            read::load_values(text).map_err(|error| error.within(format!("failed to parse {name}: ")))?;
        read::merge_maps(&self.0, &over).map(Self)
    }

    /// `--set-json`: a JSON object, or `key=value` with JSON values.
    pub fn json(self, line: &str) -> Result<Self, Error> {
        if line.trim_start().starts_with('{') {
            let failed = || Error::new(format!("failed parsing --set-json data JSON: {line}"));
            let read: serde_json::Value = serde_json::from_str(line.trim()).map_err(|_| failed())?;
            return match read::value_of(&read) {
                Value::Map(over) => read::merge_maps(&self.0, &over).map(Self),
                _ => Err(failed()),
            };
        }
        set(line, &self.0, Kind::Json)
            .map_err(|_| Error::new(format!("failed parsing --set-json data {line}")))?;
        Ok(self)
    }

    /// `--set`
    pub fn set(self, line: &str) -> Result<Self, Error> {
        set(line, &self.0, Kind::Typed).map_err(|error| error.within("failed parsing --set data: "))?;
        Ok(self)
    }

    /// `--set-string`
    pub fn text(self, line: &str) -> Result<Self, Error> {
        set(line, &self.0, Kind::Text).map_err(|error| error.within("failed parsing --set-string data: "))?;
        Ok(self)
    }

    /// `--set-file`, with a way to read a file.
    pub fn content(self, line: &str, read: &mut ReadFile<'_>) -> Result<Self, Error> {
        let mut read = |path: &str| read(path);
        set(line, &self.0, Kind::File(&mut read))
            .map_err(|error| error.within("failed parsing --set-file data: "))?;
        Ok(self)
    }

    /// The values.
    pub fn values(&self) -> &Map {
        &self.0
    }
}
