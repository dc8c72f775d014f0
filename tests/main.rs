//! Integration tests.
#[cfg(test)]
mod agent;
#[cfg(test)]
mod source;
