//! The settings of the agent's pod for special clusters: a login to the registry, tolerations, nodes,
//! resources, environment variables and certificate authorities. They come from the texts of flags, without
//! I/O.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::problem::Problem;
use lockgate_base::model::Object;

/// The value that stands for an empty list, so that remembered values can be removed.
const NONE: &str = "none";
/// The ConfigMap with the certificate authorities.
pub(crate) const CA: &str = "lockgate-ca";
/// The key in the ConfigMap.
const CA_KEY: &str = "ca.crt";
/// The folder in the pod. SSL_CERT_DIR adds its files to Mozilla's authorities.
const CA_FOLDER: &str = "/etc/lockgate/ca";
/// The type of a Secret with a login to a registry.
const LOGIN_TYPE: &str = "kubernetes.io/dockerconfigjson";
/// The key in the Secret.
const LOGIN_KEY: &str = ".dockerconfigjson";

/// The differences from the embedded pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodSettings {
    /// Logins to the registry.
    pub(crate) logins: Vec<RegistryLogin>,
    tolerations: Vec<Value>,
    nodes: BTreeMap<String, String>,
    resources: BTreeMap<(&'static str, &'static str), String>,
    variables: BTreeMap<String, String>,
    /// Certificates of further authorities in PEM form.
    pub(crate) authorities: Option<String>,
}

/// The Secret of a login to a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RegistryLogin {
    /// The name of the Secret.
    pub(crate) name: String,
    /// The content of a file such as `~/.docker/config.json`; without it, the Secret has to exist.
    pub(crate) file: Option<String>,
}

impl PodSettings {
    /// Sets the certificate authorities, if any are given.
    pub(crate) fn with_authorities(mut self, pem: Option<String>) -> Self {
        self.authorities = pem;
        self
    }

    /// Adds logins.
    pub(crate) fn with_logins(mut self, logins: Vec<RegistryLogin>) -> Self {
        self.logins = logins;
        self
    }

    /// Adds tolerations in the syntax of [`toleration`].
    pub(crate) fn with_tolerations(mut self, texts: &[String]) -> Self {
        self.tolerations = listed(texts).filter_map(|text| toleration(text).ok()).collect();
        self
    }

    /// Adds labels that a node must have, each as `KEY=VALUE`.
    pub(crate) fn with_nodes(mut self, texts: &[String]) -> Self {
        self.nodes = listed(texts).filter_map(pair).collect();
        self
    }

    /// Adds environment variables, each as `NAME=VALUE`.
    pub(crate) fn with_variables(mut self, texts: &[String]) -> Self {
        self.variables = listed(texts).filter_map(pair).collect();
        self
    }

    /// Sets one of `requests` and `limits` of `cpu` or `memory`, if a value is given.
    pub(crate) fn with_resource(
        mut self,
        list: &'static str,
        resource: &'static str,
        quantity: Option<String>,
    ) -> Self {
        if let Some(quantity) = quantity {
            self.resources.insert((list, resource), quantity);
        }
        self
    }

    /// Writes the settings into a Deployment.
    pub(crate) fn apply(&self, deployment: &mut Value) {
        let pod = &mut deployment["spec"]["template"]["spec"];
        if !self.logins.is_empty() {
            pod["imagePullSecrets"] = self.logins.iter().map(|login| json!({"name": login.name})).collect();
        }
        if let Some(tolerations) = pod["tolerations"].as_array_mut() {
            tolerations.extend(self.tolerations.iter().cloned());
        }
        for (key, value) in &self.nodes {
            pod["nodeSelector"][key] = value.clone().into();
        }
        let container = &mut pod["containers"][0];
        for ((list, resource), quantity) in &self.resources {
            container["resources"][list][resource] = quantity.clone().into();
        }
        let mut variables = self.variables.clone();
        if self.authorities.is_some() {
            variables.insert("SSL_CERT_DIR".into(), CA_FOLDER.into());
        }
        if let Some(env) = container["env"].as_array_mut() {
            env.retain(|known| !known["name"].as_str().is_some_and(|name| variables.contains_key(name)));
            env.extend(variables.iter().map(|(name, value)| json!({"name": name, "value": value})));
        }
        if self.authorities.is_some() {
            let mount = json!({"name": "ca", "mountPath": CA_FOLDER, "readOnly": true});
            append(&mut container["volumeMounts"], mount);
            append(&mut pod["volumes"], json!({"name": "ca", "configMap": {"name": CA}}));
        }
    }

    /// The objects that the pod refers to, except Secrets: the ConfigMap of the authorities.
    pub(crate) fn beside(&self, namespace: &str) -> Result<Vec<Object>, Problem> {
        self.authorities.as_ref().map(|pem| authorities(namespace, pem)).into_iter().collect()
    }
}

impl RegistryLogin {
    /// The Secret to create; without a file, only its name.
    pub(crate) fn secret(&self, namespace: &str) -> Result<Object, Problem> {
        let mut secret = json!({
            "apiVersion": "v1", "kind": "Secret", "type": LOGIN_TYPE, "metadata": labelled(&self.name, namespace),
        });
        if let Some(file) = &self.file {
            secret["data"][LOGIN_KEY] = STANDARD.encode(file).into();
        }
        object(secret)
    }

    /// Checks whether an existing Secret contains logins. The error says what is wrong.
    pub(crate) fn check(live: Option<&Object>) -> Result<(), String> {
        let live = live.ok_or("it does not exist")?;
        let found = live.text("/type").unwrap_or_default();
        if found != LOGIN_TYPE {
            return Err(format!("it is of the type '{found}', not {LOGIN_TYPE}"));
        }
        let encoded = live.text(&format!("/data/{LOGIN_KEY}")).unwrap_or_default();
        let decoded = STANDARD.decode(encoded).map_err(|_| format!("its {LOGIN_KEY} is not base64"))?;
        logins(&String::from_utf8_lossy(&decoded))
    }
}

/// The ConfigMap of certificate authorities.
pub(crate) fn authorities(namespace: &str, pem: &str) -> Result<Object, Problem> {
    let metadata = labelled(CA, namespace);
    object(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {CA_KEY: pem}}))
}

/// Whether a Secret is one with which images are pulled.
pub(crate) fn is_login(secret: &Object) -> bool {
    secret.text("/type") == Some(LOGIN_TYPE)
}

/// The certificate authorities in such a ConfigMap.
pub(crate) fn read_authorities(map: &Object) -> Option<String> {
    map.pointer("/data")?.get(CA_KEY)?.as_str().map(ToOwned::to_owned)
}

/// Checks whether a text contains logins, as `~/.docker/config.json` does. The error says what is wrong.
pub(crate) fn logins(text: &str) -> Result<(), String> {
    let config: Value = serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))?;
    let has_login =
        |entry: &Value| ["auth", "username", "identitytoken"].iter().any(|key| entry[key].is_string());
    let hosts = config["auths"].as_object().into_iter().flatten();
    if hosts.clone().any(|(_, entry)| has_login(entry)) {
        return Ok(());
    }
    Err(if config["credsStore"].is_string() || config["credHelpers"].is_object() {
        "it names a helper that keeps the logins on this machine, and holds none; `kubectl create secret docker-registry` \
         makes a Secret of a user name and a password"
            .into()
    } else {
        "it has no login below 'auths'".into()
    })
}

/// Parses `KEY`, `KEY=VALUE` and either with `:EFFECT`; `*` stands for every key.
pub(crate) fn toleration(text: &str) -> Result<Value, String> {
    const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
    let wrong = || {
        format!("'{text}' is no toleration: write KEY[=VALUE][:EFFECT], with one of {}", EFFECTS.join(", "))
    };
    let (taint, effect) = match text.rsplit_once(':') {
        Some((taint, effect)) => (taint, Some(effect)),
        None => (text, None),
    };
    if taint.is_empty() || effect.is_some_and(|effect| !EFFECTS.contains(&effect)) {
        return Err(wrong());
    }
    let mut toleration = match taint.split_once('=') {
        Some(("", _)) => return Err(wrong()),
        Some((key, value)) => json!({"key": key, "operator": "Equal", "value": value}),
        None if taint == "*" => json!({"operator": "Exists"}),
        None => json!({"key": taint, "operator": "Exists"}),
    };
    if let Some(effect) = effect {
        toleration["effect"] = effect.into();
    }
    Ok(toleration)
}

/// The values of a list, unless it stands for an empty one.
pub(crate) fn listed(texts: &[String]) -> impl Iterator<Item = &str> {
    texts.iter().map(String::as_str).filter(|text| *text != NONE)
}

/// Whether a text stands for an empty list.
pub(crate) fn is_none(text: &str) -> bool {
    text == NONE
}

fn pair(text: &str) -> Option<(String, String)> {
    text.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()))
}

fn append(list: &mut Value, item: Value) {
    if let Some(list) = list.as_array_mut() {
        list.push(item);
    }
}

fn labelled(name: &str, namespace: &str) -> Value {
    let labels = json!({"app.kubernetes.io/name": "lockgate", "app.kubernetes.io/part-of": "lockgate"});
    json!({"name": name, "namespace": namespace, "labels": labels})
}

fn object(value: Value) -> Result<Object, Problem> {
    Object::parse(value).map_err(|error| Problem::Embedded(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_toleration_is_written_as_taints_are() {
        for (text, expected) in [
            ("a", json!({"key": "a", "operator": "Exists"})),
            ("a.io/b=c", json!({"key": "a.io/b", "operator": "Equal", "value": "c"})),
            ("a=:NoExecute", json!({"key": "a", "operator": "Equal", "value": "", "effect": "NoExecute"})),
            ("a:NoSchedule", json!({"key": "a", "operator": "Exists", "effect": "NoSchedule"})),
            ("*", json!({"operator": "Exists"})),
        ] {
            assert_eq!(toleration(text), Ok(expected), "{text}");
        }
        for text in ["", "=a", ":NoSchedule", "a:No", "a=b:"] {
            assert!(toleration(text).unwrap_err().contains("write KEY[=VALUE][:EFFECT]"), "{text}");
        }
    }

    #[test]
    fn a_login_is_looked_at_before_it_is_used() {
        assert_eq!(logins(r#"{"auths":{"r.io":{"auth":"dTpw"}}}"#), Ok(()));
        for (text, told) in [
            ("x", "no JSON"),
            ("{}", "no login below 'auths'"),
            (r#"{"auths":{"r.io":{}}}"#, "no login below 'auths'"),
            (r#"{"auths":{"r.io":{}},"credsStore":"desktop"}"#, "names a helper"),
        ] {
            assert!(logins(text).unwrap_err().contains(told), "{text}");
        }
        let login =
            RegistryLogin { name: "r".into(), file: Some(r#"{"auths":{"r.io":{"auth":"dTpw"}}}"#.into()) };
        let secret = login.secret("n").unwrap();
        assert_eq!(RegistryLogin::check(Some(&secret)), Ok(()));
        let opaque = secret.clone().edit(|value| value["type"] = "Opaque".into()).unwrap();
        let damaged = secret.edit(|value| value["data"][LOGIN_KEY] = "%".into()).unwrap();
        for (live, told) in [
            (None, "does not exist"),
            (Some(&opaque), "of the type 'Opaque'"),
            (Some(&damaged), "not base64"),
        ] {
            assert!(RegistryLogin::check(live).unwrap_err().contains(told));
        }
    }
}
