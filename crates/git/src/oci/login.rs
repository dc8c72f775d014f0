//! The content of a pull secret: the logins of registries, as `docker login` writes them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::repository::Repository;
use crate::SourceError;
use crate::credentials::SecretData;
use lockgate_base::model::Secret;

/// The key of a Secret of the type `kubernetes.io/dockerconfigjson`.
const CONFIG: &str = ".dockerconfigjson";
/// The key of its predecessor, `kubernetes.io/dockercfg`.
const OLD_CONFIG: &str = ".dockercfg";

/// The logins of one pull secret.
#[derive(Debug, Clone)]
pub struct PullSecret {
    /// Their origin, for messages: `Secret namespace/name`.
    source: String,
    logins: BTreeMap<String, Login>,
}

/// The login to one registry.
#[derive(Debug, Clone)]
pub(super) struct Login {
    pub(super) username: String,
    pub(super) password: Secret<String>,
    /// A token with which other tokens are requested.
    pub(super) identity_token: Option<Secret<String>>,
    /// A token that is sent unchanged.
    pub(super) registry_token: Option<Secret<String>>,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    auth: String,
    #[serde(default)]
    identitytoken: String,
    #[serde(default)]
    registrytoken: String,
}

impl PullSecret {
    /// Reads a Secret, which messages call `source` (`Secret namespace/name`).
    pub fn read(source: &str, data: &SecretData) -> Result<Self, SourceError> {
        let error = |problem: String| SourceError::Credentials { secret: source.to_owned(), problem };
        let entries = if let Some(config) = data.get(CONFIG) {
            serde_json::from_slice::<Config>(config.expose()).map(|config| config.auths)
        } else if let Some(config) = data.get(OLD_CONFIG) {
            serde_json::from_slice::<BTreeMap<String, Entry>>(config.expose())
        } else {
            let problem = format!(
                "it has no key '{CONFIG}'; make it with kubectl create secret docker-registry, or flux create secret oci"
            );
            return Err(error(problem));
        };
        // The message of serde may quote the text.
        let entries = entries.map_err(|problem| {
            error(format!(
                "its '{CONFIG}' is not what docker login writes (line {}, column {})",
                problem.line(),
                problem.column()
            ))
        })?;
        let login = |(registry, entry): (String, Entry)| {
            let login = entry.login().ok_or_else(|| {
                error(format!("'auth' of {registry} is not base64 of a user name, a colon and a password"))
            })?;
            Ok((registry, login))
        };
        let logins = entries.into_iter().map(login).collect::<Result<_, SourceError>>()?;
        Ok(Self { source: source.to_owned(), logins })
    }

    /// Reads a Secret with a user name and a password for the registry of a repository, or with logins in
    /// docker's format.
    pub fn for_charts(source: &str, data: &SecretData, repository: &Repository) -> Result<Self, SourceError> {
        if data.contains_key(CONFIG) || data.contains_key(OLD_CONFIG) {
            return Self::read(source, data);
        }
        let error = |problem: String| SourceError::Credentials { secret: source.to_owned(), problem };
        let text = |key: &str| {
            let bytes = data.get(key).map(|value| value.expose().as_slice()).unwrap_or_default();
            let text = std::str::from_utf8(bytes).map_err(|_| error(format!("'{key}' is not text")))?;
            Ok(text.trim_end_matches(['\r', '\n']).to_owned())
        };
        let (username, password) = (text("username")?, text("password")?);
        if username.is_empty() || password.is_empty() {
            return Err(error(format!(
                "it has neither the key '{CONFIG}' nor both of 'username' and 'password'"
            )));
        }
        let entry = Entry {
            username,
            password,
            auth: String::new(),
            identitytoken: String::new(),
            registrytoken: String::new(),
        };
        let login = entry.login().ok_or_else(|| error("it has a control character in it".into()))?;
        Ok(Self { source: source.to_owned(), logins: [(repository.authority().to_owned(), login)].into() })
    }

    /// The values that no message may show.
    pub fn hidden(&self) -> impl Iterator<Item = &[u8]> {
        self.logins.values().flat_map(|login| {
            let tokens = [login.identity_token.as_ref(), login.registry_token.as_ref()];
            let tokens = tokens.into_iter().flatten();
            std::iter::once(&login.password).chain(tokens).map(|secret| secret.expose().as_bytes())
        })
    }

    /// The registries for which there are logins.
    fn registries(&self) -> String {
        self.logins.keys().cloned().collect::<Vec<_>>().join(", ")
    }
}

impl Entry {
    fn login(self) -> Option<Login> {
        let token = |text: String| (!text.is_empty()).then(|| Secret::new(text));
        let (identity_token, registry_token) = (token(self.identitytoken), token(self.registrytoken));
        let (mut username, mut password) = (self.username, self.password);
        if username.is_empty() && password.is_empty() && !self.auth.is_empty() {
            let decoded = Secret::new(STANDARD.decode(self.auth.trim()).ok()?);
            let text = Secret::new(String::from_utf8(decoded.expose().clone()).ok()?);
            let (user, secret) = text.expose().split_once(':')?;
            (username, password) = (user.to_owned(), secret.trim_end_matches('\0').to_owned());
        }
        let is_clean = |text: &str| !text.chars().any(char::is_control);
        if !is_clean(&username) || !is_clean(&password) {
            return None;
        }
        Some(Login { username, password: Secret::new(password), identity_token, registry_token })
    }
}

impl Login {
    /// The value of an `Authorization` header with the scheme Basic; `None` if there is no password.
    pub(super) fn basic(&self) -> Option<Secret<String>> {
        if self.username.is_empty() && self.password.expose().is_empty() {
            return None;
        }
        let pair = Secret::new(format!("{}:{}", self.username, self.password.expose()));
        Some(Secret::new(format!("Basic {}", STANDARD.encode(pair.expose()))))
    }
}

/// The login that fits a repository best, and the name of its Secret.
pub(super) fn choose<'s>(secrets: &'s [PullSecret], repository: &Repository) -> Option<(&'s str, &'s Login)> {
    let all = secrets.iter().flat_map(|secret| secret.logins.iter().map(move |entry| (secret, entry)));
    let fitting = all.filter_map(|(secret, (registry, login))| {
        Some((repository.fit(registry)?, secret.source.as_str(), login))
    });
    // The first of several equally good ones wins.
    let best = fitting.reduce(|best, next| if next.0 > best.0 { next } else { best });
    best.map(|(_, source, login)| (source, login))
}

/// The cure if the registry demands credentials and no Secret has any for it.
pub(super) fn advice(secrets: &[PullSecret]) -> String {
    if secrets.is_empty() {
        return "name a Secret in spec.secretRef".into();
    }
    let held = secrets.iter().map(|secret| format!("{} is for {}", secret.source, secret.registries()));
    format!("there are none for it: {}", held.collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(key: &str, text: &str) -> Result<PullSecret, SourceError> {
        let data = SecretData::from([(key.to_owned(), Secret::new(text.as_bytes().to_vec()))]);
        PullSecret::read("Secret n/pull", &data)
    }

    fn header(secret: &PullSecret, url: &str) -> Option<String> {
        let repository = Repository::parse(url).unwrap();
        let (_, login) = choose(std::slice::from_ref(secret), &repository)?;
        login.basic().map(|header| header.expose().clone())
    }

    #[test]
    fn the_login_that_fits_best_is_chosen() {
        let secret = read(
            CONFIG,
            r#"{"auths": {"ghcr.io": {"auth": "dTpw"}, "ghcr.io/org": {"username": "o", "password": "p"},
                          "https://index.docker.io/v1/": {"username": "hub", "password": "h"}}}"#,
        )
        .unwrap();
        assert_eq!(header(&secret, "oci://ghcr.io/a/b").as_deref(), Some("Basic dTpw"));
        assert_eq!(header(&secret, "oci://ghcr.io/org/b").as_deref(), Some("Basic bzpw"));
        assert_eq!(header(&secret, "oci://docker.io/b").as_deref(), Some("Basic aHViOmg="));
        assert_eq!(header(&secret, "oci://quay.io/b"), None);
        assert_eq!(
            advice(&[secret]),
            "there are none for it: Secret n/pull is for ghcr.io, ghcr.io/org, https://index.docker.io/v1/"
        );
        let old = read(OLD_CONFIG, r#"{"quay.io": {"auth": "dTpw"}}"#).unwrap();
        assert_eq!(header(&old, "oci://quay.io/b").as_deref(), Some("Basic dTpw"));
    }

    #[test]
    fn a_name_and_a_password_are_for_the_registry_of_the_charts() {
        let repository = Repository::parse("oci://ghcr.io/charts/demo").unwrap();
        let read = |fields: &[(&str, &str)]| {
            let secret = |value: &str| Secret::new(value.as_bytes().to_vec());
            let data = fields.iter().map(|(key, value)| ((*key).to_owned(), secret(value))).collect();
            PullSecret::for_charts("Secret n/login", &data, &repository)
        };
        let secret = read(&[("username", "u"), ("password", "p\n")]).unwrap();
        assert_eq!(header(&secret, "oci://ghcr.io/other").as_deref(), Some("Basic dTpw"));
        assert_eq!(header(&secret, "oci://quay.io/other"), None);
        assert!(read(&[(CONFIG, r#"{"auths": {"quay.io": {"auth": "dTpw"}}}"#)]).is_ok());
        let told = read(&[("username", "u")]).unwrap_err().to_string();
        assert_eq!(
            told,
            "Secret n/login: it has neither the key '.dockerconfigjson' nor both of 'username' and 'password'"
        );
    }

    #[test]
    fn what_is_no_pull_secret_is_told_without_its_values() {
        for (key, text, problem) in [
            ("password", "hunter2", "it has no key '.dockerconfigjson'"),
            (CONFIG, "{\"auths\": \"hunter2\"}", "is not what docker login writes (line 1"),
            (CONFIG, r#"{"auths": {"ghcr.io": {"auth": "hunter2!"}}}"#, "'auth' of ghcr.io is not base64"),
            (
                CONFIG,
                r#"{"auths": {"ghcr.io": {"username": "u", "password": "hunter2\r\nX: y"}}}"#,
                "ghcr.io",
            ),
        ] {
            let message = read(key, text).unwrap_err().to_string();
            assert!(message.starts_with("Secret n/pull: ") && message.contains(problem), "{message}");
            assert!(!message.contains("hunter2"), "{message}");
        }
        let secret = read(CONFIG, r#"{"auths": {"ghcr.io": {"auth": "dTpodW50ZXIy"}}}"#).unwrap();
        assert!(!format!("{secret:?}").contains("hunter2"));
        assert_eq!(secret.hidden().collect::<Vec<_>>(), [b"hunter2"]);
    }
}
