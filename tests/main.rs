//! Integration tests.
mod bootstrap;
mod cluster;
mod source;
