//! Signatures of artifacts that cosign makes with a key: in an artifact of their own next to the signed one,
//! or in bundles that refer to it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::manifest::ACCEPT;
use super::registry::Registry;
use super::repository::is_digest;
use crate::SourceError;
use crate::credentials::SecretData;
use lockgate_base::model::Secret;

/// The suffix of a key's name in a Secret.
const PUBLIC: &str = ".pub";
/// The most signatures of one artifact that are checked.
const SIGNATURES: usize = 64;
/// The annotation with a layer's signature, and the type of a signed text (cosign's simple signing).
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const SIMPLE: &str = "cosign container image signature";
/// The media type of a bundle without its version, the type of its content, and the type of the statement in
/// it.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";
const STATEMENT: &str = "application/vnd.in-toto+json";
const PREDICATE: &str = "https://sigstore.dev/cosign/sign/v1";

/// The keys one of which must have signed an artifact.
#[derive(Debug, Clone)]
pub struct SignatureKeys {
    /// Their origin, for messages: `Secret namespace/name`.
    source: String,
    keys: Vec<PublicKey>,
}

#[derive(Debug, Clone)]
struct PublicKey {
    /// The algorithm and the key, as in an X.509 SubjectPublicKeyInfo.
    algorithm: Vec<u8>,
    key: Vec<u8>,
}

impl SignatureKeys {
    /// Parses the keys of a Secret called `source` in messages: all whose names end with `.pub`.
    pub fn read(source: &str, data: &SecretData) -> Result<Self, SourceError> {
        let error = |problem: String| SourceError::Credentials { secret: source.to_owned(), problem };
        let named = data.iter().filter(|(name, _)| name.ends_with(PUBLIC));
        let key = |(name, value): (&String, &Secret<Vec<u8>>)| {
            let problem =
                || error(format!("'{name}' is no public key in PEM form that signatures are checked by"));
            PublicKey::read(value.expose()).ok_or_else(problem)
        };
        let keys = named.map(key).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            let cure = "make one with cosign generate-key-pair, and put cosign.pub into it";
            return Err(error(format!("it has no key whose name ends with '{PUBLIC}'; {cure}")));
        }
        Ok(Self { source: source.to_owned(), keys })
    }

    fn have_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        self.keys.iter().any(|key| key.has_signed(message, signature))
    }
}

impl PublicKey {
    fn read(pem: &[u8]) -> Option<Self> {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).ok()?;
        let (info, _) = element(der.as_ref(), 0x30)?;
        let (algorithm, rest) = element(info, 0x30)?;
        let (bits, _) = element(rest, 0x03)?;
        // The last byte has no unused bits.
        let (0, key) = bits.split_first().map(|(unused, key)| (*unused, key))? else { return None };
        let read = Self { algorithm: algorithm.to_vec(), key: key.to_vec() };
        let is_known = read.algorithms().next().is_some();
        is_known.then_some(read)
    }

    /// The algorithms that may check a signature of this key.
    fn algorithms(&self) -> impl Iterator<Item = &'static dyn SignatureVerificationAlgorithm> {
        let all = rustls::crypto::ring::default_provider().signature_verification_algorithms.all;
        let is_its = |one: &&&'static dyn SignatureVerificationAlgorithm| {
            one.public_key_alg_id().as_ref() == self.algorithm
        };
        all.iter().filter(is_its).copied()
    }

    fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        self.algorithms().any(|algorithm| algorithm.verify_signature(&self.key, message, signature).is_ok())
    }
}

/// The content of the first DER element, which must have this tag, and the rest after it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        // A key is far shorter than a length that does not fit here.
        let length = digits.iter().try_fold(0_usize, |length, digit| {
            length.checked_mul(256).map(|length| length + usize::from(*digit))
        });
        (length?, rest)
    };
    let (content, after) = rest.split_at_checked(length)?;
    (found == tag).then_some((content, after))
}

/// The signatures that do not count.
#[derive(Debug, Default)]
struct Uncounted {
    /// Those of other keys.
    by_others: usize,
    /// Those of a given key for another artifact.
    of_others: usize,
}

/// Refuses an artifact that none of the keys has signed.
pub(super) fn verify(
    registry: &mut Registry<'_>,
    digest: &str,
    keys: &SignatureKeys,
) -> Result<(), SourceError> {
    registry.web.now_doing("looking for signatures");
    let mut uncounted = Uncounted::default();
    for signed in beside(registry, digest)?.into_iter().chain(bundled(registry, digest)?) {
        if !keys.have_signed(&signed.message, &signed.signature) {
            uncounted.by_others += 1;
        } else if signed.of != digest {
            uncounted.of_others += 1;
        } else {
            return Ok(());
        }
    }
    let Uncounted { by_others, of_others } = uncounted;
    let found = match (by_others, of_others) {
        (0, 0) => "there are none".to_owned(),
        (_, 0) => format!("none of those that there are ({by_others}) is by a key of {}", keys.source),
        (_, _) => format!("what a key of {} has signed is another artifact", keys.source),
    };
    Err(SourceError::Unsigned(format!(
        "failed to verify the signature using provider 'cosign': no matching signatures were found for \
         'oci://{}@{digest}': {found}",
        registry.repository
    )))
}

/// A signed message.
struct Signed {
    message: Vec<u8>,
    signature: Vec<u8>,
    /// The digest of the artifact that the message is about; empty if it is about none.
    of: String,
}

#[derive(Deserialize)]
struct SignatureManifest {
    #[serde(default)]
    layers: Vec<Descriptor>,
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    #[serde(default)]
    artifact_type: String,
    digest: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// The signatures in the artifact that is named after the digest of the signed one.
fn beside(registry: &mut Registry<'_>, digest: &str) -> Result<Vec<Signed>, SourceError> {
    let tag = format!("{}.sig", digest.replacen(':', "-", 1));
    let Some(manifest) = asked::<SignatureManifest>(registry, &format!("manifests/{tag}"), ACCEPT)? else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for layer in manifest.layers.into_iter().take(SIGNATURES) {
        let signature = layer.annotations.get(SIGNATURE).and_then(|text| STANDARD.decode(text).ok());
        let Some(signature) = signature else { continue };
        let message = blob(registry, &layer.digest)?;
        let of = simply_signed(&message).unwrap_or_default();
        found.push(Signed { message, signature, of });
    }
    Ok(found)
}

/// The digest of the artifact in a text of simple signing.
fn simply_signed(message: &[u8]) -> Option<String> {
    let message: serde_json::Value = serde_json::from_slice(message).ok()?;
    let text = |pointer: &str| message.pointer(pointer)?.as_str();
    (text("/critical/type") == Some(SIMPLE))
        .then(|| text("/critical/image/docker-manifest-digest").map(ToOwned::to_owned))?
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    dsse_envelope: Option<Envelope>,
}

/// A DSSE envelope, with texts in base64.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<EnvelopeSignature>,
}

#[derive(Deserialize)]
struct EnvelopeSignature {
    sig: String,
}

/// The signatures in bundles that refer to an artifact.
fn bundled(registry: &mut Registry<'_>, digest: &str) -> Result<Vec<Signed>, SourceError> {
    const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    let mut list = asked::<SignatureManifest>(registry, &format!("referrers/{digest}"), INDEX)?;
    if list.is_none() {
        // If a registry does not know which artifacts refer to others, the signer names them in a tag.
        let tag = digest.replacen(':', "-", 1);
        list = asked(registry, &format!("manifests/{tag}"), INDEX)?;
    }
    let is_bundle =
        |part: &Descriptor| part.artifact_type.is_empty() || part.artifact_type.starts_with(BUNDLE);
    let parts = list.map(|list| list.manifests).unwrap_or_default();
    let mut found = Vec::new();
    for part in parts.into_iter().filter(is_bundle).take(SIGNATURES) {
        if !is_digest(&part.digest) {
            continue;
        }
        let manifest = asked::<SignatureManifest>(registry, &format!("manifests/{}", part.digest), ACCEPT)?;
        let layers = manifest.map(|manifest| manifest.layers).unwrap_or_default();
        for layer in layers.iter().filter(|layer| layer.media_type.starts_with(BUNDLE)).take(1) {
            let bundle = blob(registry, &layer.digest)?;
            let bundle = serde_json::from_slice::<Bundle>(&bundle).ok();
            let envelope = bundle.and_then(|bundle| bundle.dsse_envelope);
            found.extend(envelope.iter().flat_map(enveloped));
        }
    }
    Ok(found)
}

/// The signed message of an envelope: its type and its content, each with its length.
fn enveloped(envelope: &Envelope) -> Vec<Signed> {
    let Ok(payload) = STANDARD.decode(&envelope.payload) else { return Vec::new() };
    let kind = &envelope.payload_type;
    let mut message = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
    message.extend_from_slice(&payload);
    let of = if kind == STATEMENT { stated(&payload).unwrap_or_default() } else { String::new() };
    let signatures = envelope.signatures.iter().take(SIGNATURES);
    let signatures = signatures.filter_map(|signature| STANDARD.decode(&signature.sig).ok());
    signatures.map(|signature| Signed { message: message.clone(), signature, of: of.clone() }).collect()
}

/// The digest of the artifact in an in-toto statement.
fn stated(statement: &[u8]) -> Option<String> {
    let statement: serde_json::Value = serde_json::from_slice(statement).ok()?;
    if statement["predicateType"] != PREDICATE {
        return None;
    }
    let hex = statement.pointer("/subject/0/digest/sha256")?.as_str()?;
    Some(format!("sha256:{hex}"))
}

/// The JSON at a path; `None` if there is none, or it has another form.
fn asked<T: for<'d> Deserialize<'d>>(
    registry: &mut Registry<'_>,
    path: &str,
    accept: &str,
) -> Result<Option<T>, SourceError> {
    let answer = registry.ask(&Method::GET, path, accept)?;
    match answer.status().as_u16() {
        200 => Ok(serde_json::from_slice(&registry.body(answer)?).ok()),
        404 => Ok(None),
        _ => Err(registry.failed(answer, &format!("the signatures at '{path}'"))),
    }
}

/// The bytes of a small blob.
fn blob(registry: &mut Registry<'_>, digest: &str) -> Result<Vec<u8>, SourceError> {
    if !is_digest(digest) {
        return Err(SourceError::Content("the digest of a signature is not one of SHA-256".into()));
    }
    let answer = registry.ask(&Method::GET, &format!("blobs/{digest}"), "*/*")?;
    if answer.status() != 200 {
        return Err(registry.failed(answer, &format!("signature '{digest}'")));
    }
    let body = registry.body(answer)?;
    let found = format!("sha256:{}", hex::encode(Sha256::digest(&body)));
    if found != digest {
        return Err(SourceError::Content(format!(
            "the signature was requested by the digest {digest}, but has {found}"
        )));
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with `cosign generate-key-pair`.
    const KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
                       MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAErNJ4KR2wlpaoJoP9fi+UiBS1RYqW\n\
                       2TzUWyegcrxJmya0Z/dD/U78FNxnEY1qzIpc+VwE2zyySinoJba2V9vfQA==\n\
                       -----END PUBLIC KEY-----\n";

    fn read(entries: &[(&str, &str)]) -> Result<SignatureKeys, SourceError> {
        let secret = |text: &str| Secret::new(text.as_bytes().to_vec());
        let data = entries.iter().map(|(name, text)| ((*name).to_owned(), secret(text))).collect();
        SignatureKeys::read("Secret n/keys", &data)
    }

    #[test]
    fn keys_are_those_that_are_named_so() {
        assert_eq!(read(&[("cosign.pub", KEY), ("other", "x")]).unwrap().keys.len(), 1);
        for (entries, problem) in [
            (&[("cosign", KEY)][..], "it has no key whose name ends with '.pub'; make one with cosign"),
            (&[("a.pub", "hello")], "'a.pub' is no public key in PEM form"),
            (
                &[("a.pub", "-----BEGIN PUBLIC KEY-----\nMAMCAQA=\n-----END PUBLIC KEY-----\n")],
                "'a.pub' is no public key in PEM form",
            ),
        ] {
            let told = read(entries).unwrap_err().to_string();
            assert!(told.starts_with(&format!("Secret n/keys: {problem}")), "{told}");
        }
    }

    #[test]
    fn what_is_signed_is_read_out_of_both_forms() {
        let simple = |kind: &str| {
            let critical =
                serde_json::json!({"type": kind, "image": {"docker-manifest-digest": "sha256:aa"}});
            simply_signed(serde_json::json!({"critical": critical}).to_string().as_bytes())
        };
        assert_eq!(simple(SIMPLE).as_deref(), Some("sha256:aa"));
        assert_eq!(simple("another"), None);
        let statement = |predicate: &str| {
            let subject = serde_json::json!([{"digest": {"sha256": "aa"}}]);
            stated(serde_json::json!({"subject": subject, "predicateType": predicate}).to_string().as_bytes())
        };
        assert_eq!(statement(PREDICATE).as_deref(), Some("sha256:aa"));
        assert_eq!(statement("https://slsa.dev/provenance/v1"), None, "an attestation is no signature");
        assert!(element(&[0x30, 0x02, 1], 0x30).is_none() && element(&[0x30, 0xff], 0x30).is_none());
    }
}
