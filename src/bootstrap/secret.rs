//! The Secret with the key: created once, reused by every later run, and never overwritten unless the user
//! asks for it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::hosts::SshUrl;
use super::key::{Algorithm, KeyPair, comment_of};
use super::problem::Problem;
use super::put::{self, PutOutcome};
use crate::cluster::objects::Objects;
use lockgate_base::model::{Object, Secret};
use lockgate_core::pipeline::ports::ApiFailure;
use lockgate_git::SourceError;
use lockgate_git::{Credentials, Identity, SecretData, SshCredentials};

/// A Secret, and its content if it is created.
#[derive(Debug, Clone)]
pub(crate) struct SecretPlan<'w> {
    /// Namespace.
    pub namespace: &'w str,
    /// Name.
    pub name: &'w str,
    /// The type of a new key.
    pub algorithm: Algorithm,
    /// The comment at the end of the public key's line.
    pub comment: &'w str,
    /// The key pair to use; by default a new one.
    pub given: Option<&'w KeyPair>,
    /// Whether to replace an existing Secret.
    pub replace: bool,
}

/// The key in the Secret.
#[derive(Debug)]
pub(crate) struct Stored {
    /// The key.
    pub key: KeyPair,
    /// The key pair and the trusted hosts, as the agent reads them.
    pub credentials: SshCredentials,
    /// The lines of `known_hosts`.
    pub known_hosts: Vec<String>,
    /// The change that was made.
    pub change: PutOutcome,
}

/// The key in the Secret, if there is one.
pub(crate) async fn existing(
    objects: &Objects,
    wanted: &SecretPlan<'_>,
    url: &SshUrl,
) -> Result<Option<Stored>, Problem> {
    let found = objects.get(&shell(wanted)?).await;
    let found = found.map_err(|failure| Problem::cluster(format!("Secret {}", name(wanted)), failure))?;
    match found {
        Some(live) => read(&live, wanted, url).map(Some),
        None => Ok(None),
    }
}

/// Creates a key, and writes the Secret.
pub(crate) async fn make(
    objects: &Objects,
    wanted: &SecretPlan<'_>,
    known_hosts: &[String],
    url: &SshUrl,
) -> Result<Stored, Problem> {
    let key = match wanted.given {
        Some(given) => given.called(wanted.comment),
        None => KeyPair::generate(wanted.algorithm, wanted.comment)?,
    };
    let object = filled(wanted, &key, known_hosts)?;
    let written =
        if wanted.replace { overwrite(objects, &object).await } else { put::create(objects, &object).await };
    let failed = |failure| Problem::cluster(format!("Secret {}", name(wanted)), failure);
    let change = written.map_err(failed)?;
    // Another run may have been faster; then the agent uses its key.
    let live = objects.get(&object).await.map_err(failed)?.unwrap_or(object);
    Ok(Stored { change, ..read(&live, wanted, url)? })
}

/// Replaces the whole content of a Secret.
pub(super) async fn overwrite(objects: &Objects, wanted: &Object) -> Result<PutOutcome, ApiFailure> {
    let change = put::put(objects, wanted).await?;
    let live = objects.get(wanted).await?;
    let data = live.as_ref().and_then(|live| live.pointer("/data")).and_then(Value::as_object);
    let is_other =
        |key: &&String| wanted.pointer("/data").is_none_or(|data| data.get(key.as_str()).is_none());
    let others: Map<String, Value> =
        data.into_iter().flat_map(Map::keys).filter(is_other).map(|key| (key.clone(), Value::Null)).collect();
    if !others.is_empty() {
        objects.merge(wanted, &json!({ "data": others })).await?;
    }
    Ok(change)
}

/// Replaces the lines of `known_hosts` in the Secret. Returns its new content.
pub(super) async fn put_known_hosts(
    objects: &Objects,
    wanted: &SecretPlan<'_>,
    url: &SshUrl,
    lines: &[String],
) -> Result<Stored, Problem> {
    let shell = shell(wanted)?;
    let failed = |failure| Problem::cluster(format!("Secret {}", name(wanted)), failure);
    let patch = json!({"data": {"known_hosts": STANDARD.encode(lines.join("\n") + "\n")}});
    objects.merge(&shell, &patch).await.map_err(failed)?;
    let live = objects.get(&shell).await.map_err(failed)?.unwrap_or(shell);
    Ok(Stored { change: PutOutcome::Configured, ..read(&live, wanted, url)? })
}

/// Whether a source reads the Secret with this name in its namespace.
pub(super) fn is_read_by(name: &str, source: &Object) -> bool {
    source.text("/spec/secretRef/name") == Some(name)
}

/// Whether a Secret contains a private key for SSH.
pub(super) fn has_key(secret: &Object) -> bool {
    value(secret, "identity").is_some()
}

/// Whether a Secret contains the credentials of a source.
pub(super) fn is_login(secret: &Object) -> bool {
    ["identity", "password", "githubAppPrivateKey"].iter().any(|key| value(secret, key).is_some())
}

/// The public lines of the keys in all Secrets of a namespace, whoever created them.
pub(super) async fn public_lines(objects: &Objects, namespace: &str) -> Result<Vec<String>, Problem> {
    let secrets = objects.list("v1", "Secret", Some(namespace), "").await;
    let secrets = secrets.map_err(|failure| Problem::cluster("Secrets", failure))?;
    let lines = secrets
        .iter()
        .flat_map(|secret| [value(secret, "identity.pub"), key(secret).map(|key| key.public_line())]);
    Ok(lines.flatten().collect())
}

/// The key in a Secret, whoever created it; `None` if there is no readable one.
pub(super) fn key(secret: &Object) -> Option<KeyPair> {
    let pem = Zeroizing::new(value(secret, "identity")?);
    let password = value(secret, "password").map(Zeroizing::new);
    let identity = Identity::parse(&pem, password.as_ref().map(|password| password.as_str())).ok()?;
    KeyPair::existing(&identity, value(secret, "identity.pub").as_deref()).ok()
}

/// The title under which bootstrap has registered the key in a Secret; `None` without a key with a comment.
pub(super) fn title(secret: &Object) -> Option<String> {
    comment_of(&value(secret, "identity.pub")?).map(ToOwned::to_owned)
}

fn value(secret: &Object, key: &str) -> Option<String> {
    let encoded = secret.pointer("/data")?.get(key)?.as_str()?;
    let bytes = Zeroizing::new(STANDARD.decode(encoded).ok()?);
    String::from_utf8(bytes.to_vec()).ok()
}

/// Parses the content of a Secret as the agent will.
fn read(live: &Object, wanted: &SecretPlan<'_>, url: &SshUrl) -> Result<Stored, Problem> {
    let problem = |reason: &str| Problem::Secret { name: name(wanted), reason: reason.into() };
    let source = format!("Secret {}", name(wanted));
    let credentials = match Credentials::read(url.git(), Some((&source, &data(live)))) {
        Ok(Credentials::Ssh(credentials)) => *credentials,
        Ok(Credentials::None | Credentials::Http(_)) => return Err(problem("it is not one for SSH")),
        Err(SourceError::Credentials { problem: reason, .. }) => return Err(problem(&reason)),
        Err(other) => return Err(problem(&other.to_string())),
    };
    if url.keys_in(&credentials.known_hosts).is_empty() {
        return Err(problem(&format!("its 'known_hosts' has no key of {}", url.known_as())));
    }
    let key = KeyPair::existing(&credentials.identity, value(live, "identity.pub").as_deref())?;
    let known_hosts = value(live, "known_hosts").unwrap_or_default();
    let known_hosts = known_hosts.lines().map(ToOwned::to_owned).collect();
    Ok(Stored { key, credentials, known_hosts, change: PutOutcome::Unchanged })
}

/// The content of a Secret, as the agent reads it.
pub(super) fn data(secret: &Object) -> SecretData {
    let entries = secret.pointer("/data").and_then(Value::as_object).into_iter().flatten();
    let decoded = entries
        .filter_map(|(key, value)| Some((key.clone(), Secret::new(STANDARD.decode(value.as_str()?).ok()?))));
    decoded.collect()
}

fn filled(wanted: &SecretPlan<'_>, key: &KeyPair, known_hosts: &[String]) -> Result<Object, Problem> {
    let encode = |text: &str| STANDARD.encode(text);
    let lines = known_hosts.join("\n") + "\n";
    let edited = shell(wanted)?.edit(|value| {
        value["type"] = "Opaque".into();
        value["data"] = json!({
            "identity": encode(key.identity().expose()),
            "identity.pub": encode(&format!("{}\n", key.public_line())),
            "known_hosts": encode(&lines),
        });
    });
    edited.map_err(|error| Problem::Embedded(error.to_string()))
}

/// The Secret without its data.
pub(super) fn shell(wanted: &SecretPlan<'_>) -> Result<Object, Problem> {
    shell_of(wanted.namespace, wanted.name)
}

/// A Secret with this name and without data.
pub(super) fn shell_of(namespace: &str, name: &str) -> Result<Object, Problem> {
    let value = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/name": "lockgate", "app.kubernetes.io/part-of": "lockgate"},
        },
    });
    Object::parse(value).map_err(|error| Problem::Embedded(error.to_string()))
}

fn name(wanted: &SecretPlan<'_>) -> String {
    format!("{}/{}", wanted.namespace, wanted.name)
}

#[cfg(test)]
mod tests {
    use ssh_key::{LineEnding, PrivateKey};

    use super::super::hosts;
    use super::*;

    const WANTED: SecretPlan<'static> = SecretPlan {
        namespace: "n",
        name: "s",
        algorithm: Algorithm::Ed25519,
        comment: "c",
        given: None,
        replace: false,
    };

    fn url() -> SshUrl {
        "ssh://git@example.org/r".parse().unwrap()
    }

    fn line() -> String {
        let key = KeyPair::generate(Algorithm::Ed25519, "c").unwrap();
        hosts::lines(&url(), &[key.public_line()]).remove(0)
    }

    fn secret(edit: impl FnOnce(&mut Value)) -> Object {
        let key = KeyPair::generate(Algorithm::Ed25519, "c").unwrap();
        filled(&WANTED, &key, &[line()]).unwrap().edit(edit).unwrap()
    }

    #[test]
    fn what_was_written_reads_back() {
        let object = secret(|_| {});
        let stored = read(&object, &WANTED, &url()).unwrap();
        assert_eq!(stored.change, PutOutcome::Unchanged);
        assert!(
            stored.key.public_line().starts_with("ssh-ed25519 ") && stored.key.public_line().ends_with(" c")
        );
        assert_eq!(url().keys_in(&stored.credentials.known_hosts).len(), 1);
    }

    #[test]
    fn every_line_that_the_agent_takes_will_do() {
        let (_, key) = line().split_once(' ').map(|(host, key)| (host.to_owned(), key.to_owned())).unwrap();
        // `ssh-keygen -H` has hashed `example.org`.
        let hashed = "|1|U4Z8YiICOIhRMhEzDR026jleXCo=|EJMueuVGG6LVx1yVCnUcPSL/IDo=";
        for (names, is_known) in [
            ("example.org", true),
            ("example.org,192.0.2.1", true),
            ("*.org", true),
            ("*.com", false),
            (hashed, true),
            (&hashed.replace("|1|U4Z8", "|1|U4Z9"), false),
        ] {
            let text = STANDARD.encode(format!("# of the house\n{names} {key} a comment\n"));
            let object = secret(|value| value["data"]["known_hosts"] = text.into());
            assert_eq!(read(&object, &WANTED, &url()).is_ok(), is_known, "{names}");
        }
    }

    #[test]
    fn an_encrypted_key_is_read_with_its_password() {
        let key = KeyPair::generate(Algorithm::Ed25519, "c").unwrap();
        let plain = PrivateKey::from_openssh(key.identity().expose()).unwrap();
        let encrypted = plain.encrypt(&mut rand_core::OsRng, "open sesame").unwrap();
        let text = STANDARD.encode(encrypted.to_openssh(LineEnding::LF).unwrap().as_bytes());
        let with = |password: Value| {
            let object = secret(|value| {
                value["data"]["identity"] = text.clone().into();
                value["data"]["password"] = password;
            });
            read(&object, &WANTED, &url()).map(|stored| stored.key.public_line())
        };
        assert_eq!(with(STANDARD.encode("open sesame\n").into()).unwrap(), key.public_line());
        for (password, reason) in [
            (Value::Null, "identity is encrypted and the Secret has no password"),
            (STANDARD.encode("sesame").into(), "identity cannot be decrypted with password"),
        ] {
            let problem = with(password).unwrap_err();
            assert_eq!(problem.to_string(), format!("the Secret n/s exists, and {reason}"));
        }
    }

    #[test]
    fn a_secret_of_another_form_is_left_alone_and_told() {
        let text = |object: &Object| read(object, &WANTED, &url()).unwrap_err().to_string();
        let no_key = secret(|value| value["data"] = json!({"password": "aHVudGVyMg=="}));
        assert_eq!(text(&no_key), "the Secret n/s exists, and it has no key 'identity' (the private key)");
        let elsewhere = secret(|value| {
            let text = line().replace("example.org", "example.com");
            value["data"]["known_hosts"] = STANDARD.encode(text).into();
        });
        assert_eq!(
            text(&elsewhere),
            "the Secret n/s exists, and its 'known_hosts' has no key of example.org"
        );
    }
}
