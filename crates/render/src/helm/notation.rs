//! JSON, YAML and TOML, byte for byte as the Go libraries that helm uses write and read them.

pub mod json;
pub mod json_read;
pub mod yaml;
pub mod yaml_read;
pub mod toml;
pub mod toml_read;
