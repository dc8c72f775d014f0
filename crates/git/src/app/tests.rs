//! The content of an App's Secret, and the claim that the App signs.

use std::process::Command;

use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::{Pkcs1v15Sign, RsaPrivateKey};
use sha2::{Digest as _, Sha256};

use super::*;

const URL: &str = "https://github.com/acme/platform.git";

/// A key as GitHub gives it.
fn key() -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "", "-f"])
        .arg(&file)
        .status()
        .unwrap();
    assert!(made.success());
    std::fs::read_to_string(file).unwrap()
}

fn read(url: &str, fields: &[(&str, &str)]) -> Result<App, SourceError> {
    let data: SecretData = fields
        .iter()
        .map(|(key, value)| ((*key).to_owned(), Secret::new(value.as_bytes().to_vec())))
        .collect();
    App::read(&GitUrl::parse(url).unwrap(), Some(("Secret a/b", &data)))
}

#[test]
fn what_is_missing_or_contradicts_itself_is_named() {
    let pem = key();
    let (id, owner) = (("githubAppID", "12"), ("githubAppInstallationOwner", "acme"));
    let (installation, key) = (("githubAppInstallationID", "5"), ("githubAppPrivateKey", pem.as_str()));
    for (url, fields, problem) in [
        (URL, &[("username", "u")][..], "secretRef with github app data must be specified"),
        ("ssh://git@github.com/acme/platform", &[id, owner, key], "write https://"),
        ("http://github.com/acme/platform", &[id, owner, key], "not sent over plain http"),
        (URL, &[("githubAppID", "x"), owner, key], "githubAppID is no number"),
        (URL, &[("githubAppID", "0"), owner, key], "githubAppID is no number"),
        (URL, &[id, key], "neither githubAppInstallationID nor"),
        (URL, &[id, owner, installation, key], "keep one"),
        (URL, &[id, ("githubAppInstallationOwner", "../x"), key], "no name of an organisation"),
        (URL, &[id, owner], "'githubAppPrivateKey'"),
        (URL, &[id, owner, ("githubAppPrivateKey", "hunter2")], "no RSA key in PEM form"),
        (URL, &[id, owner, key, ("githubAppBaseURL", "http://github.example.com/api/v3")], "plain http"),
        (URL, &[id, owner, key, ("githubAppBaseURL", "github.example.com")], "githubAppBaseURL: "),
        (URL, &[id, owner, key, ("tls.crt", "x")], "belong together"),
    ] {
        let message = read(url, fields).unwrap_err().to_string();
        assert!(message.contains(problem) && !message.contains("hunter2"), "{problem}: {message}");
    }
    let none = App::read(&GitUrl::parse(URL).unwrap(), None).unwrap_err();
    assert_eq!(none.class(), crate::FailureClass::ProviderInvalid);
    for installed in [owner, installation] {
        let app = read(URL, &[id, installed, key]).unwrap();
        assert_eq!((app.api.as_str(), app.repository.as_str()), (PUBLIC_API, "platform"));
    }
    let loopback = ("githubAppBaseURL", "http://127.0.0.1:8080/");
    assert_eq!(read(URL, &[id, owner, key, loopback]).unwrap().api, "http://127.0.0.1:8080");
}

#[test]
fn a_claim_is_signed_and_good_for_ten_minutes_at_most() {
    let pem = key();
    let fields =
        [("githubAppID", "12"), ("githubAppInstallationID", "5"), ("githubAppPrivateKey", pem.as_str())];
    let app = read(URL, &fields).unwrap();
    let claim = app.claim(1_700_000_000).unwrap();
    let jwt = claim.expose().strip_prefix("Bearer ").unwrap();
    let (text, signature) = jwt.rsplit_once('.').unwrap();
    let (_, claims) = text.split_once('.').unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    assert_eq!(claims, json!({"iat": 1_699_999_940, "exp": 1_700_000_540, "iss": "12"}));
    let der = pem_rfc7468::decode_vec(pem.as_bytes()).unwrap().1;
    let public = RsaPrivateKey::from_pkcs1_der(&der).unwrap().to_public_key();
    let digest = Sha256::digest(text.as_bytes());
    // The prefix of SHA-256 in PKCS #1, RFC 8017 9.2.
    let prefix = b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20";
    let signed = [prefix.as_slice(), digest.as_slice()].concat();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    public.verify(Pkcs1v15Sign::new_unprefixed(), &signed, &signature).unwrap();
    assert!(!format!("{app:?}").contains("PRIVATE"));
}

#[test]
fn a_secret_of_an_app_is_none_of_a_user() {
    let data = SecretData::from([("githubAppID".to_owned(), Secret::new(b"12".to_vec()))]);
    let error = Credentials::read(&GitUrl::parse(URL).unwrap(), Some(("Secret a/b", &data))).unwrap_err();
    assert_eq!(error.to_string(), "secretRef 'a/b' has github app data but provider is not set to github");
}
