//! The identity of an object: group, version, kind, name and namespace.

use std::borrow::Cow;

use serde_json::Value;

use lockgate_base::model::field;

/// The namespace of cluster-scoped kinds in identities.
pub(super) const NO_NAMESPACE: &str = "_non_namespaceable_";

/// Group, version and kind, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct KindRef<'a> {
    pub(crate) group: &'a str,
    pub(crate) version: &'a str,
    pub(crate) kind: &'a str,
}

/// The identity of a resource, now or at an earlier step. The namespace is the effective one: `default` if
/// none is set, and a reserved word for cluster-scoped kinds.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ResourceId {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    /// Effective namespace.
    pub(crate) namespace: String,
}

/// Splits an `apiVersion`.
pub(crate) fn split_api_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

/// The text of a scalar, as far as its value shows it.
pub(crate) fn text_of(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        Value::Null | Value::Array(_) | Value::Object(_) => Cow::Borrowed(""),
        Value::Number(number) => Cow::Owned(number.to_string()),
        Value::Bool(flag) => Cow::Borrowed(if *flag { "true" } else { "false" }),
    }
}

/// The position of a key in a mapping.
pub(crate) fn position(map: Option<&Value>, key: &str) -> Option<usize> {
    map.and_then(Value::as_object)?.keys().position(|name| name == key)
}

/// The positions that lead to the annotations of an object.
pub(crate) fn annotations_in(object: &Value) -> Option<[usize; 2]> {
    Some([position(Some(object), "metadata")?, position(field(object, "metadata"), "annotations")?])
}

impl<'a> KindRef<'a> {
    /// The kind in an `apiVersion` and a `kind`.
    pub(crate) fn new(api_version: &'a str, kind: &'a str) -> Self {
        let (group, version) = split_api_version(api_version);
        Self { group, version, kind }
    }

    /// The kind of an object; its parts are empty if they are no strings.
    pub(crate) fn of(object: &'a Value) -> Self {
        let text = |name: &str| field(object, name).and_then(Value::as_str).unwrap_or_default();
        Self::new(text("apiVersion"), text("kind"))
    }

    /// Whether a selector with these parts, empty for any, selects this kind.
    pub(crate) fn is_selected(self, group: &str, version: &str, kind: &str) -> bool {
        (group.is_empty() || group == self.group)
            && (version.is_empty() || version == self.version)
            && (kind.is_empty() || kind == self.kind)
    }

    /// Group and version together.
    pub(crate) fn api_version(&self) -> Cow<'_, str> {
        if self.group.is_empty() {
            Cow::Borrowed(self.version)
        } else {
            Cow::Owned(format!("{}/{}", self.group, self.version))
        }
    }
}

impl ResourceId {
    /// Group, version and kind.
    pub(crate) fn gvk(&self) -> KindRef<'_> {
        KindRef { group: &self.group, version: &self.version, kind: &self.kind }
    }

    /// The name in messages.
    pub(crate) fn subject(&self) -> String {
        if self.namespace == NO_NAMESPACE || self.namespace == "default" {
            format!("{}/{}", self.kind, self.name)
        } else {
            format!("{}/{}/{}", self.kind, self.namespace, self.name)
        }
    }

    /// Whether it is cluster-scoped.
    pub(crate) fn is_cluster_scoped(&self) -> bool {
        self.namespace == NO_NAMESPACE
    }
}
