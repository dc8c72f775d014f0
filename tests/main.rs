//! Integration tests.

#[cfg(test)]
mod cluster;
mod source;
mod oracle;
mod agent;
mod tidy;
