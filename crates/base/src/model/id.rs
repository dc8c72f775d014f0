//! Identities: group-version-kind, and the inventory's form of an object's identity.

use std::fmt;
use std::str::FromStr;

/// Group, version and kind. The group is empty for the core group.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Gvk {
    /// API group, empty for core.
    pub group: String,
    /// API version without the group.
    pub version: String,
    /// Kind.
    pub kind: String,
}

impl Gvk {
    /// `group/version`, or `version` for the core group.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }
}

impl fmt::Display for Gvk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, Kind={}", self.api_version(), self.kind)
    }
}

/// The identity of an object on one cluster, in whatever version it is written.
///
/// `Display` and `FromStr` use the form of Flux's `status.inventory.entries[].id`:
/// `<namespace>_<name>_<group>_<kind>`, with an empty namespace for cluster-scoped objects, an empty group
/// for core, and `:` in RBAC names written as `__` (fluxcd/cli-utils `pkg/object`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId {
    /// Namespace, empty for cluster-scoped objects.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// API group, empty for core.
    pub group: String,
    /// Kind.
    pub kind: String,
}

/// An inventory entry that is not of the form `<namespace>_<name>_<group>_<kind>`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("inventory id '{0}' is not of the form <namespace>_<name>_<group>_<kind>")]
pub struct ParseObjectIdError(String);

impl ObjectId {
    /// The object's name in messages: `Deployment/kube-network/traefik`, or `Namespace/foobar`.
    pub fn subject(&self) -> String {
        if self.namespace.is_empty() {
            format!("{}/{}", self.kind, self.name)
        } else {
            format!("{}/{}/{}", self.kind, self.namespace, self.name)
        }
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}_{}_{}", self.namespace, self.name.replace(':', "__"), self.group, self.kind)
    }
}

impl FromStr for ObjectId {
    type Err = ParseObjectIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The name may itself hold underscores (a colon is written as two), so the text is split from both
        // ends.
        let parts = || {
            let (namespace, rest) = text.split_once('_')?;
            let (rest, kind) = rest.rsplit_once('_')?;
            let (name, group) = rest.rsplit_once('_')?;
            (!name.is_empty() && !kind.is_empty()).then_some((namespace, name, group, kind))
        };
        let (namespace, name, group, kind) = parts().ok_or_else(|| ParseObjectIdError(text.into()))?;
        Ok(Self {
            namespace: namespace.into(),
            name: name.replace("__", ":"),
            group: group.into(),
            kind: kind.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_as_written() {
        for text in [
            "default_podinfo__Service",
            "default_podinfo_apps_Deployment",
            "_kube-system__Namespace",
            "_system__controller__x_rbac.authorization.k8s.io_ClusterRole",
        ] {
            assert_eq!(text.parse::<ObjectId>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_colon_in_an_rbac_name_is_two_underscores() {
        let id: ObjectId = "_system__x_rbac.authorization.k8s.io_ClusterRole".parse().unwrap();
        assert_eq!(id.name, "system:x");
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "a_b_c", "a__g_K", "plain"] {
            assert!(text.parse::<ObjectId>().is_err(), "{text}");
        }
    }
}
