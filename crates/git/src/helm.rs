//! Helm repositories over HTTP: their indexes, and the archives of charts.

mod site;
mod fetch;

pub use fetch::{Access, Archive, ArchiveRequest, Asking, Helm, HelmHost, IndexRequest, Indexed, Listed};
pub use site::{Site, SiteLogin};
