//! Helm repositories over HTTP: which charts one offers, and their archives.

mod site;
mod fetch;

pub use fetch::{Access, Archive, ArchiveRequest, Asking, Helm, HelmHost, IndexRequest, Indexed, Listed};
pub use site::{Site, SiteLogin};
