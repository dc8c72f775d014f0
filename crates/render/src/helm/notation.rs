//! JSON, YAML and TOML as the Go libraries write and read them that helm uses, byte for byte.

pub mod json;
pub mod json_read;
mod scalar;
mod sort;
pub mod yaml;
pub mod yaml_read;
