//! A validating or mutating admission webhook over TLS, with answers set by the test.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::pki::Authority;
use crate::process::lock;
use crate::serve::Server;

/// The webhook's answer to one request.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Admits the object.
    Allow,
    /// Admits the object with warnings.
    Warn(Vec<String>),
    /// Admits the object with changes by a JSON patch (mutating webhooks only).
    Patch(Value),
    /// Denies the object with this message.
    Deny(String),
    /// An HTTP error.
    Status(u16),
    /// No answer, ever.
    Silent,
}

type Rule = Box<dyn Fn(&Value) -> Answer + Send>;

/// A webhook on a free loopback port. It admits every object by default.
#[derive(Debug)]
pub struct Webhook {
    server: Server,
    authority: Authority,
    shared: Arc<Shared>,
}

struct Shared {
    rule: Mutex<Rule>,
    requests: Mutex<Vec<Value>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

impl Webhook {
    /// Starts the webhook.
    pub fn start() -> anyhow::Result<Self> {
        let authority = Authority::new("test-webhook-ca")?;
        let identity = authority.server(&["localhost", "127.0.0.1"])?;
        let rule: Rule = Box::new(|_| Answer::Allow);
        let shared = Arc::new(Shared { rule: Mutex::new(rule), requests: Mutex::default() });
        let app = Router::new().fallback(review).with_state(Arc::clone(&shared));
        Ok(Self { server: Server::https(app, &identity)?, authority, shared })
    }

    /// `https://127.0.0.1:PORT/`, for `clientConfig.url`.
    pub fn url(&self) -> String {
        format!("https://{}/", self.address())
    }

    /// The webhook's address, for a proxy in front of it.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The authority of its certificate, PEM; `clientConfig.caBundle` is its base64.
    pub fn ca_pem(&self) -> &str {
        self.authority.pem()
    }

    /// Answers each request, which is `request` of the AdmissionReview, by a rule.
    pub fn answer(&self, rule: impl Fn(&Value) -> Answer + Send + 'static) {
        *lock(&self.shared.rule) = Box::new(rule);
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Value> {
        lock(&self.shared.requests).clone()
    }

    /// A ValidatingWebhookConfiguration of this webhook for objects of namespaces with the label `webhook:
    /// <name>`.
    pub fn validating(&self, name: &str, resources: &[&str]) -> Value {
        self.configuration("ValidatingWebhookConfiguration", name, resources)
    }

    /// A MutatingWebhookConfiguration of this webhook for the same objects.
    pub fn mutating(&self, name: &str, resources: &[&str]) -> Value {
        self.configuration("MutatingWebhookConfiguration", name, resources)
    }

    fn configuration(&self, kind: &str, name: &str, resources: &[&str]) -> Value {
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": kind,
            "metadata": { "name": name },
            "webhooks": [{
                "name": format!("{name}.example.org"),
                "clientConfig": { "url": self.url(), "caBundle": STANDARD.encode(self.ca_pem()) },
                "namespaceSelector": { "matchLabels": { "webhook": name } },
                "rules": [{
                    "apiGroups": ["*"],
                    "apiVersions": ["*"],
                    "operations": ["CREATE", "UPDATE", "DELETE"],
                    "resources": resources,
                }],
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "failurePolicy": "Fail",
                "timeoutSeconds": 5,
            }],
        })
    }
}

async fn review(State(shared): State<Arc<Shared>>, Json(review): Json<Value>) -> Response {
    let request = review.get("request").cloned().unwrap_or_default();
    let answer = lock(&shared.rule)(&request);
    let uid = request.get("uid").cloned().unwrap_or_default();
    lock(&shared.requests).push(request);
    let mut response = json!({ "uid": uid, "allowed": true });
    match answer {
        Answer::Allow => {}
        Answer::Warn(warnings) => response["warnings"] = json!(warnings),
        Answer::Patch(patch) => {
            response["patchType"] = json!("JSONPatch");
            response["patch"] = json!(STANDARD.encode(patch.to_string()));
        }
        Answer::Deny(message) => {
            response["allowed"] = json!(false);
            response["status"] = json!({ "code": 403, "message": message });
        }
        Answer::Status(code) => {
            return StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR).into_response();
        }
        Answer::Silent => std::future::pending().await,
    }
    Json(json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response }))
        .into_response()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
    use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
    use kube::api::{Api, PostParams};

    use super::*;
    use crate::{eventually, shared};

    #[tokio::test]
    async fn the_api_server_quotes_what_the_webhook_says() {
        let client = shared().client().await.unwrap();
        let webhook = Webhook::start().unwrap();
        webhook.answer(|request| match request["name"].as_str() {
            Some("bad") => Answer::Deny("no bad maps".into()),
            _ => Answer::Allow,
        });
        let make = PostParams::default();
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let namespace = json!({ "metadata": { "name": "hooked", "labels": { "webhook": "maps" } } });
        namespaces.create(&make, &serde_json::from_value(namespace).unwrap()).await.unwrap();
        let configurations: Api<ValidatingWebhookConfiguration> = Api::all(client.clone());
        let configuration = serde_json::from_value(webhook.validating("maps", &["configmaps"])).unwrap();
        configurations.create(&make, &configuration).await.unwrap();
        let maps: Api<ConfigMap> = Api::namespaced(client, "hooked");
        let bad: ConfigMap = serde_json::from_value(json!({ "metadata": { "name": "bad" } })).unwrap();
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        // The API server uses a webhook only a moment after it is registered.
        let refusal = eventually(Duration::from_secs(10), async || {
            maps.create(&dry, &bad).await.err().ok_or_else(|| anyhow::anyhow!("the map was let in"))
        })
        .await
        .unwrap()
        .to_string();
        assert!(
            refusal.contains(r#"admission webhook "maps.example.org" denied the request: no bad maps"#),
            "{refusal}"
        );
        assert!(webhook.requests().iter().any(|request| request["name"] == "bad"));
        webhook.answer(|_| Answer::Status(500));
        let error = maps.create(&make, &bad).await.unwrap_err().to_string();
        assert!(error.contains("failed calling webhook"), "{error}");
        webhook.answer(|_| Answer::Allow);
        maps.create(&make, &bad).await.unwrap();
    }
}
