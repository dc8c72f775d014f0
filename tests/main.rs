//! Integration tests.
#[cfg(test)]
mod source;
