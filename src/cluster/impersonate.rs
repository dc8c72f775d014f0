//! Acting as a ServiceAccount: a Kustomization that names one has only that account's rights, in all its
//! reads and writes. Impersonation is a header on each request, so the connections stay shared.

use http::header::HeaderValue;

use super::client::Client;

/// A text that cannot be the name of a ServiceAccount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not the name of a ServiceAccount")]
pub struct InvalidAccount(String);

/// The user name of a ServiceAccount.
pub(super) fn user_of(namespace: &str, name: &str) -> String {
    format!("system:serviceaccount:{namespace}:{name}")
}

impl Client {
    /// A client that acts as a ServiceAccount. The server adds the groups of service accounts.
    pub fn impersonating(&self, namespace: &str, name: &str) -> Result<Self, InvalidAccount> {
        // A colon would make it another account: system:serviceaccount:a:b:c.
        let plain = |text: &str| {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.'))
        };
        if !plain(namespace) || !plain(name) {
            return Err(InvalidAccount(format!("{namespace}/{name}")));
        }
        let user = HeaderValue::try_from(user_of(namespace, name))
            .map_err(|_| InvalidAccount(format!("{namespace}/{name}")))?;
        Ok(self.with_user(user))
    }
}
