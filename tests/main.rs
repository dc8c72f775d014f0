//! Integration tests.
mod agent;
mod source;
