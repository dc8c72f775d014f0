//! Integration tests.

#[cfg(test)]
mod cluster;
#[cfg(test)]
mod source;
mod oracle;
mod agent;
#[cfg(test)]
mod bootstrap;
#[cfg(test)]
mod cluster;
#[cfg(test)]
mod kustomize;
mod oracle;
#[cfg(test)]
mod source;
#[cfg(test)]
mod tidy;
