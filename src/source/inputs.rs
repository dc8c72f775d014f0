//! The inputs of a fetch: the Secrets that an object names in its own namespace.

use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use crate::cluster::Reader;
use lockgate_base::model::{Object, ObjectId};
use lockgate_core::api::KindInfo;
use lockgate_core::pipeline::ports::{ApiFailure, Data, DataKind, Lookup as _, ObjectReference, Reads as _};
use lockgate_core::verdict::{self, FetchCause, Redactor};

/// The keys of Secrets whose values are not secret.
const PUBLIC: [&str; 10] = [
    "known_hosts",
    "identity.pub",
    "username",
    "ca.crt",
    "caFile",
    "tls.crt",
    "githubAppID",
    "githubAppInstallationID",
    "githubAppInstallationOwner",
    "githubAppBaseURL",
];

/// Reads Secrets, and records their values, so that messages do not show them.
pub(crate) struct SourceInputs<'a> {
    cluster: Reader,
    namespace: &'a str,
    redactor: Mutex<Redactor>,
}

impl<'a> SourceInputs<'a> {
    /// Reads from one namespace.
    pub(crate) fn of(cluster: Reader, namespace: &'a str) -> Self {
        Self { cluster, namespace, redactor: Mutex::default() }
    }

    /// A Secret, and its name in messages. `field` is the field that names it, such as `spec.secretRef`.
    pub(super) async fn secret(&self, field: &str, name: &str) -> Result<(String, Data), verdict::Fetched> {
        let namespace = self.namespace;
        let subject = format!("Secret {namespace}/{name}");
        match self.cluster.data(DataKind::Secret, namespace, name).await {
            Ok(Some(data)) => {
                for (_, value) in data.iter().filter(|(key, _)| !PUBLIC.contains(&key.as_str())) {
                    self.hide(value.expose());
                }
                Ok((subject, data))
            }
            Ok(None) => Err(unauthenticated(format!("{subject} not found: create it, or correct {field}"))),
            Err(failure) => Err(unauthenticated(format!("{subject} cannot be read: {failure}"))),
        }
    }

    /// The names of the pull secrets of a ServiceAccount.
    pub(super) async fn pull_secrets(&self, account: &str) -> Result<Vec<String>, verdict::Fetched> {
        let subject = format!("ServiceAccount {}/{account}", self.namespace);
        let id = ObjectId {
            namespace: self.namespace.into(),
            name: account.into(),
            group: String::new(),
            kind: "ServiceAccount".into(),
        };
        match self.cluster.get(&ObjectReference::new(id, "v1")).await {
            Ok(Some(account)) => {
                let secrets = account.pointer("/imagePullSecrets").and_then(Value::as_array);
                let names = secrets.into_iter().flatten().filter_map(|secret| secret["name"].as_str());
                Ok(names.map(ToOwned::to_owned).collect())
            }
            Ok(None) => Err(unauthenticated(format!(
                "{subject} not found: create it, or correct spec.serviceAccountName"
            ))),
            Err(failure) => Err(unauthenticated(format!("{subject} cannot be read: {failure}"))),
        }
    }

    /// The objects of a kind in the namespace.
    pub(super) async fn near(&self, info: &KindInfo) -> Result<Vec<Object>, ApiFailure> {
        self.cluster.near(info, self.namespace).await
    }

    /// Keeps a value out of all messages.
    pub(super) fn hide(&self, value: &[u8]) {
        self.redactor.lock().unwrap_or_else(PoisonError::into_inner).add(value);
    }

    /// The values that were read.
    pub(crate) fn into_redactor(self) -> Redactor {
        self.redactor.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A failure because of missing credentials. A later attempt may find them.
pub(super) const fn unauthenticated(message: String) -> verdict::Fetched {
    verdict::Fetched::Failed { cause: FetchCause::Authentication, message, terminal: false }
}
