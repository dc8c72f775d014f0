//! Integration tests.
mod source;
