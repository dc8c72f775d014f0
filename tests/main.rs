//! Integration tests.

#[cfg(test)]
mod cluster;
