//! A chart: its templates, values and files, and the charts that it depends on.

pub mod capabilities;
mod glob;
pub mod files;
