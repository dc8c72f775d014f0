//! Certificates as `x509.CreateCertificate` makes them of sprig's templates.

use core::net::IpAddr;

use sha2::{Digest as _, Sha256};

use super::der::{DerReader, bits, integer, octets, oid, sequence, value};
use super::key::PrivateKey;
use crate::helm::context::RenderContext;
use crate::helm::go::layout;
use crate::helm::go::quote::quote;
use crate::helm::go::time::Time;

/// The content of a requested certificate.
#[derive(Debug, Clone, Default)]
pub struct CertificateTemplate {
    /// The name of the subject.
    pub common_name: Vec<u8>,
    /// The addresses that it is valid for.
    pub addresses: Vec<IpAddr>,
    /// The host names that it is valid for.
    pub hosts: Vec<Vec<u8>>,
    /// The number of days that it is valid.
    pub days: i64,
    /// Whether it may sign others.
    pub is_authority: bool,
}

/// The parts of a signing certificate that appear in the signed one.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// Its subject.
    subject: Vec<u8>,
    /// The identifier of its key, if it has one.
    key_id: Option<Vec<u8>>,
    /// Its public key.
    public_info: Vec<u8>,
}

const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const SUBJECT_KEY_ID: &[u8] = &[0x55, 0x1d, 0x0e];
const AUTHORITY_KEY_ID: &[u8] = &[0x55, 0x1d, 0x23];
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
const SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
const CLIENT_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];

/// The subject, key identifier and public key of a parsed certificate.
pub fn parse(data: &[u8]) -> Option<Issuer> {
    let mut outer = DerReader(data);
    let mut certificate = outer.sequence()?;
    let mut fields = certificate.sequence()?;
    if !outer.0.is_empty() {
        return None;
    }
    fields.take(0xa0);
    fields.take(0x02)?;
    fields.sequence()?;
    fields.sequence()?;
    fields.sequence()?;
    let subject = fields.take(0x30)?.whole.to_vec();
    let public_info = fields.take(0x30)?.whole.to_vec();
    let mut key_id = None;
    while let Some(field) = fields.any() {
        if field.tag != 0xa3 {
            continue;
        }
        let mut extensions = DerReader(field.content).sequence()?;
        while let Some(mut extension) = extensions.sequence() {
            let name = extension.take(0x06)?.content;
            extension.take(0x01);
            let content = extension.take(0x04)?.content;
            if name == SUBJECT_KEY_ID {
                key_id = Some(DerReader(content).take(0x04)?.content.to_vec());
            }
        }
    }
    Some(Issuer { subject, key_id, public_info })
}

/// Creates a certificate for a key. Without an issuer it is self-signed. Errors have Go's words.
pub fn create(
    context: &mut RenderContext<'_>,
    template: &CertificateTemplate,
    key: &PrivateKey,
    issuer: Option<(&Issuer, &PrivateKey)>,
) -> Result<Vec<u8>, String> {
    let signer = issuer.map_or(key, |(_, signer)| signer);
    let Some(algorithm) = signer.signature_algorithm() else {
        return Err("x509: certificate private key does not implement crypto.Signer".into());
    };
    if let PrivateKey::Dsa(_) = key {
        return Err("x509: only RSA, ECDSA and Ed25519 keys supported".into());
    }
    let subject = name(&template.common_name)?;
    let (issuer_name, issuer_id) = match issuer {
        Some((issuer, _)) => (issuer.subject.clone(), issuer.key_id.clone()),
        None => (subject.clone(), None),
    };
    if issuer.is_some_and(|(issuer, signer)| issuer.public_info != signer.public_info()) {
        return Err("x509: provided PrivateKey doesn't match parent's PublicKey".into());
    }
    let authority_id = issuer_id.filter(|_| issuer_name != subject);
    let now = Time::utc(context.now.seconds, context.now.nanoseconds);
    let day = 24 * 3600 * 1_000_000_000_i64;
    let end = now.add(day.wrapping_mul(template.days));
    let mut serial = [0; 16];
    context.fill(&mut serial);
    let fields = sequence(&[
        value(0xa0, &integer(&[2])),
        integer(&serial),
        algorithm.clone(),
        issuer_name,
        sequence(&[time(&now), time(&end)]),
        subject.clone(),
        key.public_info(),
        value(0xa3, &sequence(&extensions(template, key, &subject, authority_id)?)),
    ]);
    let Some(signature) = signer.sign(context, &fields) else {
        return Err("crypto/rsa: message too long for RSA key size".into());
    };
    Ok(sequence(&[fields, algorithm, bits(&signature)]))
}

/// A subject with a common name, or with none.
fn name(common_name: &[u8]) -> Result<Vec<u8>, String> {
    if common_name.is_empty() {
        return Ok(sequence(&[]));
    }
    let text = std::str::from_utf8(common_name).map_err(|_| "asn1: string not valid UTF-8")?;
    let is_printable = |c: char| c.is_ascii_alphanumeric() || " '()+,-./:=?".contains(c);
    let tag = if text.chars().all(is_printable) { 0x13 } else { 0x0c };
    let attribute = sequence(&[oid(COMMON_NAME), value(tag, common_name)]);
    Ok(sequence(&[value(0x31, &attribute)]))
}

/// `UTCTime` up to 2049, and `GeneralizedTime` from then on.
fn time(time: &Time) -> Vec<u8> {
    if (1950..2050).contains(&time.civil().year) {
        value(0x17, &layout::format(time, b"060102150405Z"))
    } else {
        value(0x18, &layout::format(time, b"20060102150405Z"))
    }
}

fn extension(name: &[u8], is_critical: bool, content: &[u8]) -> Vec<u8> {
    let mut parts = vec![oid(name)];
    if is_critical {
        parts.push(value(0x01, &[0xff]));
    }
    parts.push(octets(content));
    sequence(&parts)
}

fn extensions(
    template: &CertificateTemplate,
    key: &PrivateKey,
    subject: &[u8],
    authority_id: Option<Vec<u8>>,
) -> Result<Vec<Vec<u8>>, String> {
    // The usage is digital signature and key encipherment, or, for an authority, certificate signing too.
    let usage: &[u8] = if template.is_authority { &[2, 0xa4] } else { &[5, 0xa0] };
    let constraints = if template.is_authority { sequence(&[value(0x01, &[0xff])]) } else { sequence(&[]) };
    let mut extensions = vec![
        extension(KEY_USAGE, true, &value(0x03, usage)),
        extension(EXTENDED_KEY_USAGE, false, &sequence(&[oid(SERVER_AUTH), oid(CLIENT_AUTH)])),
        extension(BASIC_CONSTRAINTS, true, &constraints),
    ];
    if template.is_authority {
        let id = Sha256::digest(key.public_point());
        extensions.push(extension(SUBJECT_KEY_ID, false, &octets(&id[..20])));
    }
    if let Some(id) = authority_id {
        extensions.push(extension(AUTHORITY_KEY_ID, false, &sequence(&[value(0x80, &id)])));
    }
    let mut names = Vec::new();
    for host in &template.hosts {
        if !host.is_ascii() {
            let host = String::from_utf8_lossy(&quote(host, false)).into_owned();
            return Err(format!("x509: {host} cannot be encoded as an IA5String"));
        }
        names.push(value(0x82, host));
    }
    for address in &template.addresses {
        names.push(match address.to_canonical() {
            IpAddr::V4(address) => value(0x87, &address.octets()),
            IpAddr::V6(address) => value(0x87, &address.octets()),
        });
    }
    if !names.is_empty() {
        // A certificate without a subject has only these names.
        let is_critical = subject == sequence(&[]);
        extensions.push(extension(SUBJECT_ALT_NAME, is_critical, &sequence(&names)));
    }
    Ok(extensions)
}
