//! The values that a chart is rendered with.

pub mod methods;
