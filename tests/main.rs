//! Integration tests.

mod kustomize;
mod oracle;
