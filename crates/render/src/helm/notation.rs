//! JSON, YAML and TOML as the Go libraries write and read them that helm uses, byte for byte.

pub mod json;
pub mod json_read;
pub mod yaml;
pub mod yaml_read;
pub mod toml;
pub mod toml_read;
