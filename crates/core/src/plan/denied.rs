//! A missing right, as the API server's authorizer reports it.

use std::fmt;

/// A missing right: the account, the verb, the resource and the namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// `system:serviceaccount:<namespace>:<name>`, or another user; empty if the server did not name it.
    pub account: String,
    /// `get`, `patch`, ...
    pub verb: String,
    /// `secrets`, `deployments.apps`, ...
    pub resource: String,
    /// Empty for cluster-scoped requests.
    pub namespace: String,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let account = if self.account.is_empty() { "lockgate" } else { &self.account };
        write!(f, "{account} may not {} {} {}", self.verb, self.resource, self.place())
    }
}

impl Denied {
    /// Reads the authorizer's sentence: `secrets "x" is forbidden: User "u" cannot get resource "secrets" in
    /// API group "" in the namespace "n"` (`forbiddenMessage` in apiserver's
    /// handlers/responsewriters/errors.go). `None` for any other text, such as an admission plugin's.
    pub fn read(text: &str) -> Option<Self> {
        let quoted = |rest: &str| rest.split_once('"').map(|(inside, _)| inside.to_owned());
        let after = |mark: &str| text.split_once(mark).map(|(_, rest)| rest);
        let account = quoted(after("User \"")?)?;
        let (verb, rest) = after("\" cannot ")?.split_once(' ')?;
        let resource = quoted(rest.strip_prefix("resource \"").or_else(|| rest.strip_prefix("path \""))?)?;
        let group = after("in API group \"").and_then(quoted).unwrap_or_default();
        let namespace = after("in the namespace \"").and_then(quoted).unwrap_or_default();
        let resource = if group.is_empty() { resource } else { format!("{resource}.{group}") };
        Some(Self { account, verb: verb.into(), resource, namespace })
    }

    /// The scope of the missing right: `in namespace n`, or `at the cluster scope`.
    pub fn place(&self) -> String {
        match self.namespace.as_str() {
            "" => "at the cluster scope".into(),
            namespace => format!("in namespace {namespace}"),
        }
    }
}
