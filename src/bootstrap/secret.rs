//! The Secret with the key: made once, used again by every later run, and never overwritten unasked.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use zeroize::Zeroizing;

use super::hosts::{self, SshUrl};
use super::key::{Algorithm, KeyPair, comment_of};
use super::objects::{Change, Objects};
use super::problem::Problem;
use crate::model::{Object, Secret};

/// Which Secret, and what goes into it when it is made.
#[derive(Debug, Clone)]
pub struct Wanted<'w> {
    /// Namespace.
    pub namespace: &'w str,
    /// Name.
    pub name: &'w str,
    /// The kind of key.
    pub algorithm: Algorithm,
    /// The end of the public key's line.
    pub comment: &'w str,
    /// Whether one that exists is made anew.
    pub replace: bool,
}

/// The key as it stands in the Secret.
#[derive(Debug)]
pub struct Stored {
    /// The key.
    pub key: KeyPair,
    /// The lines of `known_hosts` that it holds.
    pub known_hosts: Vec<String>,
    /// What was done to have it.
    pub change: Change,
}

/// The key of the Secret if there is one; `None` where there is none, or it is to be replaced.
pub async fn existing(
    objects: &Objects,
    wanted: &Wanted<'_>,
    url: &SshUrl,
) -> Result<Option<Stored>, Problem> {
    let found = objects.get(&shell(wanted)?).await;
    let found = found.map_err(|failure| Problem::cluster(format!("Secret {}", name(wanted)), failure))?;
    match found {
        Some(live) if !wanted.replace => read(&live, wanted, url).map(Some),
        _ => Ok(None),
    }
}

/// Makes a key and writes the Secret.
pub async fn make(
    objects: &Objects,
    wanted: &Wanted<'_>,
    known_hosts: Vec<String>,
) -> Result<Stored, Problem> {
    let key = KeyPair::generate(wanted.algorithm, wanted.comment)?;
    let object = filled(wanted, &key, &known_hosts)?;
    let written = if wanted.replace { objects.put(&object).await } else { objects.create(&object).await };
    let change = written.map_err(|failure| Problem::cluster(format!("Secret {}", name(wanted)), failure))?;
    Ok(Stored { key, known_hosts, change })
}

/// Whether a Secret holds a private key.
pub(super) fn has_key(secret: &Object) -> bool {
    value(secret, "identity").is_some()
}

/// Under which title bootstrap registered the key of a Secret; `None` where it holds no key with a comment.
pub(super) fn title(secret: &Object) -> Option<String> {
    comment_of(&value(secret, "identity.pub")?).map(ToOwned::to_owned)
}

fn value(secret: &Object, key: &str) -> Option<String> {
    let encoded = secret.pointer("/data")?.get(key)?.as_str()?;
    let bytes = Zeroizing::new(STANDARD.decode(encoded).ok()?);
    String::from_utf8(bytes.to_vec()).ok()
}

fn read(live: &Object, wanted: &Wanted<'_>, url: &SshUrl) -> Result<Stored, Problem> {
    let problem = |reason: &str| Problem::Secret { name: name(wanted), reason: reason.into() };
    let identity = value(live, "identity")
        .ok_or_else(|| problem("has no 'identity', the private key of an SSH key pair"))?;
    let known_hosts = value(live, "known_hosts").unwrap_or_default();
    if !hosts::covers(&known_hosts, url) {
        return Err(problem(&format!("its 'known_hosts' says nothing of {}", url.known_as())));
    }
    let key = KeyPair::existing(Secret::new(identity), value(live, "identity.pub").as_deref())?;
    let known_hosts = known_hosts.lines().map(ToOwned::to_owned).collect();
    Ok(Stored { key, known_hosts, change: Change::Unchanged })
}

fn filled(wanted: &Wanted<'_>, key: &KeyPair, known_hosts: &[String]) -> Result<Object, Problem> {
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

fn shell(wanted: &Wanted<'_>) -> Result<Object, Problem> {
    let value = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": wanted.name,
            "namespace": wanted.namespace,
            "labels": {"app.kubernetes.io/name": "lockgate", "app.kubernetes.io/part-of": "lockgate"},
        },
    });
    Object::parse(value).map_err(|error| Problem::Embedded(error.to_string()))
}

fn name(wanted: &Wanted<'_>) -> String {
    format!("{}/{}", wanted.namespace, wanted.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Wanted<'static> =
        Wanted { namespace: "n", name: "s", algorithm: Algorithm::Ed25519, comment: "c", replace: false };

    fn url() -> SshUrl {
        "ssh://git@example.org/r".parse().unwrap()
    }

    fn secret(edit: impl FnOnce(&mut serde_json::Value)) -> Object {
        let key = KeyPair::generate(Algorithm::Ed25519, "c").unwrap();
        let lines = hosts::lines(&url(), &[key.public_line()]);
        filled(&WANTED, &key, &lines).unwrap().edit(edit).unwrap()
    }

    #[test]
    fn what_was_written_reads_back() {
        let object = secret(|_| {});
        let stored = read(&object, &WANTED, &url()).unwrap();
        assert_eq!(stored.change, Change::Unchanged);
        assert!(stored.key.public_line().starts_with("ssh-ed25519 "));
        assert_eq!(stored.known_hosts.len(), 1);
    }

    #[test]
    fn a_secret_of_another_form_is_left_alone_and_told() {
        let text = |object: &Object| read(object, &WANTED, &url()).unwrap_err().to_string();
        let no_key = secret(|value| value["data"] = json!({"password": "aHVudGVyMg=="}));
        assert_eq!(
            text(&no_key),
            "the Secret n/s exists, and has no 'identity', the private key of an SSH key pair"
        );
        let elsewhere = secret(|value| value["data"]["known_hosts"] = "".into());
        assert_eq!(
            text(&elsewhere),
            "the Secret n/s exists, and its 'known_hosts' says nothing of example.org"
        );
    }
}
