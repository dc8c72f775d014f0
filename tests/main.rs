//! Integration tests.
mod cluster;
mod source;
