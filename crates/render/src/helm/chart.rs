//! A chart: its templates, values and files, and the charts that it depends on.

mod glob;
pub mod files;
