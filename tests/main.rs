//! Integration tests.

#[cfg(test)]
mod cluster;
#[cfg(test)]
mod source;
mod oracle;
mod agent;
