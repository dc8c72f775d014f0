//! Where a platform's files come from: Git repositories over SSH and HTTPS, and a local folder.
//!
//! The one way in is a [`crate::tree::Snapshot`]: files by content, with nothing checked out.

pub mod directory;
mod error;
pub mod git;
pub mod ignore;
mod libgit2;

pub use error::{Class, SourceError};
