//! YAML as Kubernetes tools read it, in two dialects. The one place that knows about either.

use serde_json::Value;

/// Which of the two readers to agree with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// go-yaml v3 as kustomize reads resources: `yes` is a string, `0644` is 420, a duplicate key is an error.
    V3,
    /// sigs.k8s.io/yaml, YAML 1.1: `yes` is true, also as a key; the last of two equal keys wins. Only the first
    /// document counts there, but all are returned here.
    V2,
}

/// One document of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Its content; `Null` for an empty document.
    pub value: Value,
    /// The line of its first node, from 1.
    pub line: usize,
}

/// Why a text is not YAML, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct YamlError {
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
    /// A lowercase fragment.
    pub message: String,
}
