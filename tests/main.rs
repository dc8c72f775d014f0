//! Integration tests.

#[cfg(test)]
mod agent;
mod bootstrap;
mod cluster;
mod oracle;
mod source;
