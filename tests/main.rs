//! Integration tests: one binary, so that they share one control plane.

#[cfg(test)]
mod agent;
#[cfg(test)]
mod bootstrap;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod cluster;
#[cfg(test)]
mod kustomize;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod source;
#[cfg(test)]
mod table;
#[cfg(test)]
mod tidy;
