//! The private key of an SSH credential. Every form that users have is converted, in memory only, to the one
//! form that libssh2 gets.
//!
//! This module reads OpenSSH keys, plain or encrypted, and PEM keys in PKCS#1 (`RSA PRIVATE KEY`), SEC 1 (`EC
//! PRIVATE KEY`) and PKCS#8 (`PRIVATE KEY`). It hands the few other forms to libssh2 unchanged.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pkcs8::PrivateKeyInfo;
use pkcs8::der::Decode as _;
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::pkcs8::DecodePrivateKey as _;
use ssh_key::private::{EcdsaKeypair, Ed25519Keypair, KeypairData, RsaKeypair};
use ssh_key::{LineEnding, PrivateKey, PublicKey};

use crate::known_hosts::describe;
use lockgate_base::model::Secret;

/// A private key that is ready for use.
#[derive(Debug, Clone)]
pub struct Identity {
    pem: Secret<String>,
    passphrase: Option<Secret<String>>,
    /// The public half; unknown for the encrypted PEM forms.
    public: Option<PublicKey>,
}

impl Identity {
    /// Reads a key. The error is a fragment that names the mistake and the cure; it repeats nothing of the
    /// key.
    pub fn parse(text: &str, password: Option<&str>) -> Result<Self, String> {
        let text = text.trim();
        let label = pem_label(text)?;
        let key = match label {
            "OPENSSH PRIVATE KEY" => match openssh(text, password) {
                Ok(key) => key,
                Err(problem) => return short_ecdsa(text, password).ok_or(problem),
            },
            "RSA PRIVATE KEY" | "EC PRIVATE KEY" if text.contains("Proc-Type: 4,ENCRYPTED") => {
                return left_to_libssh2(text, password);
            }
            "ENCRYPTED PRIVATE KEY" => return left_to_libssh2(text, password),
            "RSA PRIVATE KEY" => pkcs1(&decode(text)?)?,
            "EC PRIVATE KEY" => sec1(&decode(text)?)?,
            "PRIVATE KEY" => pkcs8(&decode(text)?)?,
            "PUBLIC KEY" | "RSA PUBLIC KEY" => {
                return Err("identity holds the public key; it must hold the private one".into());
            }
            other => {
                return Err(format!(
                    "identity is a PEM block of type '{}', not a private key",
                    other.escape_debug()
                ));
            }
        };
        if let KeypairData::Dsa(_) | KeypairData::SkEd25519(_) | KeypairData::SkEcdsaSha2NistP256(_) =
            key.key_data()
        {
            return Err(format!(
                "identity is a {} key, which is not supported; use ed25519",
                key.algorithm()
            ));
        }
        let pem =
            key.to_openssh(LineEnding::LF).map_err(|error| format!("identity cannot be encoded: {error}"))?;
        Ok(Self {
            pem: Secret::new(pem.as_str().to_owned()),
            passphrase: None,
            public: Some(key.public_key().clone()),
        })
    }

    /// The key in the form for libssh2.
    pub const fn pem(&self) -> &Secret<String> {
        &self.pem
    }

    /// The password of `pem`, if it still needs one.
    pub fn passphrase(&self) -> Option<&str> {
        self.passphrase.as_ref().map(|passphrase| passphrase.expose().as_str())
    }

    /// The public half, if it is known before the key is used.
    pub const fn public(&self) -> Option<&PublicKey> {
        self.public.as_ref()
    }

    /// The public key's fingerprint and type, as a host lists it: `SHA256:… (ed25519)`.
    pub fn fingerprint(&self) -> Option<String> {
        self.public().map(describe)
    }
}

fn pem_label(text: &str) -> Result<&str, String> {
    if text.starts_with("ssh-") || text.starts_with("ecdsa-") {
        return Err("identity holds the public key; it must hold the private one".into());
    }
    text.strip_prefix("-----BEGIN ")
        .and_then(|rest| rest.split_once("-----"))
        .map(|(label, _)| label)
        .ok_or_else(|| {
            "identity is not a private key in OpenSSH or PEM form (it must begin with -----BEGIN)".into()
        })
}

fn openssh(text: &str, password: Option<&str>) -> Result<PrivateKey, String> {
    let unreadable = |error| format!("identity cannot be read: {error}");
    let mut lines = text.to_owned();
    lines.push('\n');
    let key = PrivateKey::from_openssh(lines.replace("\r\n", "\n")).map_err(unreadable)?;
    if !key.is_encrypted() {
        return Ok(key);
    }
    let password = password.ok_or("identity is encrypted and the Secret has no password")?;
    key.decrypt(password).map_err(|_| "identity cannot be decrypted with password".to_owned())
}

/// The encrypted forms that `ssh-key` does not read.
fn left_to_libssh2(text: &str, password: Option<&str>) -> Result<Identity, String> {
    let password = password.ok_or("identity is encrypted and the Secret has no password")?;
    Ok(Identity {
        pem: Secret::new(format!("{text}\n")),
        passphrase: Some(Secret::new(password.to_owned())),
        public: None,
    })
}

/// An ECDSA key in OpenSSH's form that `ssh-key` did not read, and that libssh2 reads.
///
/// OpenSSH writes the secret number without leading zeros, which every second P-521 key has. `ssh-key` takes
/// such a number for damage. In an encrypted key this looks the same as a wrong password, so libssh2 has the
/// last word there too.
fn short_ecdsa(text: &str, password: Option<&str>) -> Option<Identity> {
    let body: String = text.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    let bytes = Secret::new(STANDARD.decode(body).ok()?);
    let mut rest = bytes.expose().strip_prefix(b"openssh-key-v1\0")?;
    let cipher = wire_string(&mut rest)?;
    let _key_derivation = (wire_string(&mut rest)?, wire_string(&mut rest)?);
    rest = rest.strip_prefix(&1_u32.to_be_bytes())?;
    let public = PublicKey::from_bytes(wire_string(&mut rest)?).ok()?;
    let is_usable = cipher == b"none" || password.is_some();
    (public.algorithm().is_ecdsa() && is_usable).then(|| Identity {
        pem: Secret::new(format!("{text}\n")),
        passphrase: password.filter(|_| cipher != b"none").map(|password| Secret::new(password.to_owned())),
        public: Some(public),
    })
}

/// Takes a string of SSH's wire format: its length in four bytes, and its bytes.
fn wire_string<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let (length, tail) = rest.split_first_chunk::<4>()?;
    let (string, tail) = tail.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    *rest = tail;
    Some(string)
}

fn decode(text: &str) -> Result<Secret<Vec<u8>>, String> {
    let (_, der) =
        pem_rfc7468::decode_vec(text.as_bytes()).map_err(|error| format!("identity is damaged: {error}"))?;
    Ok(Secret::new(der))
}

fn pkcs1(der: &Secret<Vec<u8>>) -> Result<PrivateKey, String> {
    rsa_key(rsa::RsaPrivateKey::from_pkcs1_der(der.expose()).map_err(|error| damaged(&error))?)
}

fn sec1(der: &Secret<Vec<u8>>) -> Result<PrivateKey, String> {
    let der = der.expose();
    // The curve is an optional field of the form; the length of the secret shows it as well.
    if let Ok(key) = p256::SecretKey::from_sec1_der(der) {
        return p256_key(key);
    }
    if let Ok(key) = p384::SecretKey::from_sec1_der(der) {
        return p384_key(key);
    }
    p521::SecretKey::from_sec1_der(der)
        .map_err(|_| {
            "identity is an EC key on a curve other than P-256, P-384 and P-521, or is damaged".to_owned()
        })
        .and_then(p521_key)
}

fn pkcs8(der: &Secret<Vec<u8>>) -> Result<PrivateKey, String> {
    const RSA: &str = "1.2.840.113549.1.1.1";
    const EC: &str = "1.2.840.10045.2.1";
    const ED25519: &str = "1.3.101.112";
    let der = der.expose();
    let info = PrivateKeyInfo::from_der(der).map_err(|error| damaged(&error))?;
    match info.algorithm.oid.to_string().as_str() {
        RSA => rsa_key(rsa::RsaPrivateKey::from_pkcs8_der(der).map_err(|error| damaged(&error))?),
        ED25519 => {
            // The key is an OCTET STRING of 32 bytes inside the OCTET STRING.
            let seed: &[u8; 32] = match info.private_key {
                [0x04, 0x20, seed @ ..] => seed.try_into().map_err(|error| damaged(&error))?,
                _ => return Err("identity is a damaged ed25519 key".into()),
            };
            built(PrivateKey::new(Ed25519Keypair::from_seed(seed).into(), ""))
        }
        EC => {
            if let Ok(key) = p256::SecretKey::from_pkcs8_der(der) {
                return p256_key(key);
            }
            if let Ok(key) = p384::SecretKey::from_pkcs8_der(der) {
                return p384_key(key);
            }
            p521::SecretKey::from_pkcs8_der(der)
                .map_err(|_| {
                    "identity is an EC key on a curve other than P-256, P-384 and P-521, or is damaged".into()
                })
                .and_then(p521_key)
        }
        other => Err(format!("identity is a key of algorithm {other}, which is not supported; use ed25519")),
    }
}

fn rsa_key(key: rsa::RsaPrivateKey) -> Result<PrivateKey, String> {
    let pair = RsaKeypair::try_from(key).map_err(|error| damaged(&error))?;
    built(PrivateKey::new(pair.into(), ""))
}

fn p256_key(key: p256::SecretKey) -> Result<PrivateKey, String> {
    let public = p256::EncodedPoint::from(key.public_key());
    built(PrivateKey::new(EcdsaKeypair::NistP256 { public, private: key.into() }.into(), ""))
}

fn p384_key(key: p384::SecretKey) -> Result<PrivateKey, String> {
    let public = p384::EncodedPoint::from(key.public_key());
    built(PrivateKey::new(EcdsaKeypair::NistP384 { public, private: key.into() }.into(), ""))
}

fn p521_key(key: p521::SecretKey) -> Result<PrivateKey, String> {
    let public = p521::EncodedPoint::from(key.public_key());
    built(PrivateKey::new(EcdsaKeypair::NistP521 { public, private: key.into() }.into(), ""))
}

fn built(key: Result<PrivateKey, ssh_key::Error>) -> Result<PrivateKey, String> {
    key.map_err(|error| damaged(&error))
}

fn damaged(error: &dyn std::fmt::Display) -> String {
    format!("identity is damaged: {error}")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    /// A key made and converted by OpenSSH itself, and the same key as `ssh-key` reads it; `None` for an
    /// ECDSA key that `ssh-key` does not read.
    fn key(kind: &[&str], convert: &[&str]) -> (String, Option<PrivateKey>) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let ssh_keygen = |args: &[&str]| {
            let output =
                Command::new("ssh-keygen").args(args).arg("-q").arg("-f").arg(&file).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        };
        ssh_keygen(&[kind, &["-N", ""]].concat());
        let plain = PrivateKey::read_openssh_file(&file).ok();
        if !convert.is_empty() {
            ssh_keygen(&[&["-p", "-P", ""], convert].concat());
        }
        (fs::read_to_string(&file).unwrap(), plain)
    }

    #[test]
    fn every_form_of_every_type_becomes_the_same_key() {
        let kinds: [&[&str]; 5] = [
            &["-t", "ed25519"],
            &["-t", "ecdsa", "-b", "256"],
            &["-t", "ecdsa", "-b", "384"],
            &["-t", "ecdsa", "-b", "521"],
            &["-t", "rsa", "-b", "2048"],
        ];
        for kind in kinds {
            let forms: &[&[&str]] = if kind[1] == "ed25519" {
                // OpenSSH writes keys of these types in its own form only.
                &[&[]]
            } else {
                &[&[], &["-m", "PEM", "-N", ""], &["-m", "PKCS8", "-N", ""]]
            };
            for form in forms {
                let (text, plain) = key(kind, form);
                let Some(plain) = plain else { continue };
                let identity = Identity::parse(&format!("\n{}", text.replace('\n', "\r\n")), None).unwrap();
                assert_eq!(identity.fingerprint(), Some(describe(plain.public_key())), "{kind:?} {form:?}");
                let read = PrivateKey::from_openssh(identity.pem().expose()).unwrap();
                assert_eq!(read.key_data(), plain.key_data(), "{kind:?} {form:?}");
            }
        }
    }

    #[test]
    fn ed25519_is_read_from_pkcs8() {
        // The example key of RFC 8410, section 10.3.
        let text = "-----BEGIN PRIVATE KEY-----\n\
                    MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
                    -----END PRIVATE KEY-----\n";
        let identity = Identity::parse(text, None).unwrap();
        let key = PrivateKey::from_openssh(identity.pem().expose()).unwrap();
        let public = hex::encode(key.public_key().key_data().ed25519().unwrap().0);
        assert_eq!(public, "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1");
    }

    #[test]
    fn an_ecdsa_key_with_a_short_number_is_handed_on_as_it_is() {
        let string = |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat();
        let secret = p521::SecretKey::from_slice(&[&[0; 65], [7_u8].as_slice()].concat()).unwrap();
        let point = p521::EncodedPoint::from(secret.public_key());
        let name = b"ecdsa-sha2-nistp521";
        let public = [string(name), string(b"nistp521"), string(point.as_bytes())].concat();
        // The number 7 in one byte, as OpenSSH writes it.
        let private = [&[1, 2, 3, 4, 1, 2, 3, 4], public.as_slice(), &string(&[7]), &string(b"")].concat();
        let padding: Vec<u8> = (1..=8).take((8 - private.len() % 8) % 8).collect();
        let start =
            [b"openssh-key-v1\0", string(b"none").as_slice(), &string(b"none"), &string(b"")].concat();
        let private = string(&[private, padding].concat());
        let bytes = [start.as_slice(), &1_u32.to_be_bytes(), &string(&public), &private].concat();
        let text = format!(
            "-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----\n",
            STANDARD.encode(bytes)
        );
        assert!(PrivateKey::from_openssh(&text).is_err(), "ssh-key reads it now: this detour can go");
        let identity = Identity::parse(&text, None).unwrap();
        let public = PublicKey::from_bytes(&public).unwrap();
        assert_eq!(identity.fingerprint(), Some(describe(&public)));
        assert_eq!(identity.pem().expose(), &text);
    }

    #[test]
    fn an_encrypted_key_needs_its_password() {
        let (text, plain) = key(&["-t", "ed25519"], &["-N", "open sesame"]);
        let identity = Identity::parse(&text, Some("open sesame")).unwrap();
        assert_eq!(identity.fingerprint(), Some(describe(plain.unwrap().public_key())));
        assert!(Identity::parse(&text, None).unwrap_err().contains("no password"));
        assert!(Identity::parse(&text, Some("guess")).unwrap_err().contains("cannot be decrypted"));
        let (text, _) = key(&["-t", "rsa", "-b", "2048"], &["-m", "PEM", "-N", "open sesame"]);
        assert!(Identity::parse(&text, None).unwrap_err().contains("no password"));
        assert_eq!(Identity::parse(&text, Some("open sesame")).unwrap().passphrase(), Some("open sesame"));
    }

    #[test]
    fn what_is_no_private_key_is_refused_without_repeating_it() {
        let cases = [
            ("", "not a private key"),
            ("hunter2", "not a private key"),
            ("ssh-ed25519 AAAAhunter2", "public key"),
            ("-----BEGIN PUBLIC KEY-----\nhunter2\n-----END PUBLIC KEY-----", "public key"),
            ("-----BEGIN CERTIFICATE-----\nhunter2\n-----END CERTIFICATE-----", "'CERTIFICATE'"),
            (
                "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n-----END OPENSSH PRIVATE KEY-----",
                "cannot be read",
            ),
            ("-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----", "damaged"),
            ("-----BEGIN RSA PRIVATE KEY-----\nhunter2", "damaged"),
            ("-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----", "curve other than"),
        ];
        for (text, reason) in cases {
            let message = Identity::parse(text, None).unwrap_err();
            assert!(message.contains(reason) && !message.contains("hunter2"), "{text}: {message}");
        }
    }
}
