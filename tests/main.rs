//! Integration tests.
mod source;
mod oracle;
