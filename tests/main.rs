//! Integration tests.
mod cluster;
mod source;
mod oracle;
