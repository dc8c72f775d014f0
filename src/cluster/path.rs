//! URLs of the API server. Names come from Git, so nothing in them may become a part of a path or of a query.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use lockgate_core::pipeline::ports::Scope;

/// A served kind, and the path of its objects.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ServedKind {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) kind: String,
    /// Lower-case plural, as in the URL.
    pub(super) plural: String,
    pub(super) namespaced: bool,
}

impl ServedKind {
    pub(super) const fn scope(&self) -> Scope {
        if self.namespaced { Scope::Namespaced } else { Scope::Cluster }
    }

    pub(super) fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// The path of all objects of one namespace, or of the whole cluster if `namespace` is empty.
    pub(super) fn collection(&self, namespace: &str) -> String {
        let mut path = if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        };
        if self.namespaced && !namespace.is_empty() {
            path.push_str("/namespaces/");
            path.push_str(&encode(namespace));
        }
        path.push('/');
        path.push_str(&self.plural);
        path
    }

    /// The path of one object; `None` if its name or namespace cannot be a segment of a path.
    pub(super) fn object(&self, namespace: &str, name: &str) -> Option<String> {
        let is_segment = |text: &str| !matches!(text, "" | "." | "..") && !text.contains(['/', '%']);
        if !is_segment(name) || (self.namespaced && !is_segment(namespace)) {
            return None;
        }
        Some(format!("{}/{}", self.collection(namespace), encode(name)))
    }
}

/// Percent-encodes all but the unreserved characters of RFC 3986.
pub(super) fn encode(text: &str) -> Cow<'_, str> {
    const SET: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(text, SET).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_within_its_segment() {
        let roles = ServedKind {
            group: "rbac.authorization.k8s.io".into(),
            version: "v1".into(),
            kind: "Role".into(),
            plural: "roles".into(),
            namespaced: true,
        };
        assert_eq!(
            roles.object("n", "system:a?b#c").unwrap(),
            "/apis/rbac.authorization.k8s.io/v1/namespaces/n/roles/system%3Aa%3Fb%23c"
        );
        for (namespace, name) in
            [("n", ".."), ("n", "."), ("..", "x"), ("n", "a/b"), ("", "x"), ("n", "a%2fb")]
        {
            assert_eq!(roles.object(namespace, name), None, "{namespace} {name}");
        }
        let core = ServedKind {
            group: String::new(),
            kind: "Node".into(),
            plural: "nodes".into(),
            namespaced: false,
            ..roles
        };
        assert_eq!(core.object("ignored", "a").unwrap(), "/api/v1/nodes/a");
    }
}
