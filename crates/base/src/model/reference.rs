//! Names of kinds, and of namespaced objects of a known kind.

use std::fmt;

/// A kind by its group and name, in any version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KindId {
    /// API group, empty for core.
    pub group: &'static str,
    /// Kind.
    pub kind: &'static str,
}

impl KindId {
    /// The kind of objects with named values that are no secrets.
    pub const CONFIG_MAP: Self = Self { group: "", kind: "ConfigMap" };
    /// The kind of objects with named values that are secrets.
    pub const SECRET: Self = Self { group: "", kind: "Secret" };
}

/// A namespaced object of a known kind, printed as `Kind/namespace/name`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ref {
    /// Its kind.
    pub kind: KindId,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Ref {
    /// A reference from its three parts.
    pub fn new(kind: KindId, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { kind, namespace: namespace.into(), name: name.into() }
    }

    /// `namespace/name`, for contexts in which the kind is known.
    pub fn path(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

impl fmt::Display for Ref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.kind.kind, self.namespace, self.name)
    }
}
