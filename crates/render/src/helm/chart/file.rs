//! A file of a chart.

use std::sync::Arc;

/// A file of a chart: its path in the chart and its content.
#[derive(Debug, Clone)]
pub struct File {
    /// With `/` between its parts.
    pub path: String,
    /// The content without a byte order mark.
    pub content: Arc<[u8]>,
}
