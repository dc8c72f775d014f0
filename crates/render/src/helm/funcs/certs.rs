//! Keys and certificates: `genPrivateKey`, `genCA`, `genSelfSignedCert`, `genSignedCert` and their `WithKey`
//! forms.

use core::net::IpAddr;
use std::any::Any;

use super::encoding::decode_base64;
use crate::helm::context::RenderContext;
use crate::helm::error::Error;
use crate::helm::function::Function;
use crate::helm::go::print::display;
use crate::helm::value::{Args, Type as T};
use crate::helm::value::{GoKind, GoObject, Str, Value};
use crate::helm::x509::certificate::{self, CertificateTemplate, Issuer};
use crate::helm::x509::dsa::DsaKey;
use crate::helm::x509::key::PrivateKey;
use crate::helm::x509::pem;

type Result = std::result::Result<Value, Error>;
type Ctx<'c, 'i> = &'c mut RenderContext<'i>;

const CERTIFICATE: T = T::Object("sprig.certificate");

pub(super) const TABLE: &[Function] = &[
    Function::new("genPrivateKey", &[T::String], generate_key),
    Function::new("buildCustomCert", &[T::String, T::String], custom),
    Function::new("genCA", &[T::String, T::Int], |c, a| {
        let key = PrivateKey::rsa(c, 2048)?;
        authority(c, a, &key)
    }),
    Function::new("genCAWithKey", &[T::String, T::Int, T::String], |c, a| {
        let key = given_key(c, &a, 2)?;
        authority(c, a, &key)
    }),
    Function::new("genSelfSignedCert", &[T::String, T::List, T::List, T::Int], |c, a| {
        let key = PrivateKey::rsa(c, 2048)?;
        self_signed(c, a, &key)
    }),
    Function::new("genSelfSignedCertWithKey", &[T::String, T::List, T::List, T::Int, T::String], |c, a| {
        let key = given_key(c, &a, 4)?;
        self_signed(c, a, &key)
    }),
    Function::new("genSignedCert", &[T::String, T::List, T::List, T::Int, CERTIFICATE], |c, a| {
        let key = PrivateKey::rsa(c, 2048)?;
        signed(c, a, &key)
    }),
    Function::new(
        "genSignedCertWithKey",
        &[T::String, T::List, T::List, T::Int, CERTIFICATE, T::String],
        |c, a| {
            let key = given_key(c, &a, 5)?;
            signed(c, a, &key)
        },
    ),
];

/// sprig's `certificate`: both parts in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Certificate {
    cert: Str,
    key: Str,
}

impl GoObject for Certificate {
    fn type_name(&self) -> &'static str {
        "sprig.certificate"
    }

    fn kind(&self) -> GoKind {
        GoKind::Struct
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![("Cert", Value::Str(self.cert.clone())), ("Key", Value::Str(self.key.clone()))]
    }

    fn equals(&self, other: &dyn GoObject) -> bool {
        other.as_any().downcast_ref::<Self>() == Some(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The steps that the making of a key over a curve counts for.
const CURVE_STEPS: usize = 5_000;

/// Reads a key, and counts its use, which takes as long as the numbers of an RSA key are large: they are
/// multiplied as often as they have bits.
fn private_key(c: Ctx<'_, '_>, text: &[u8], failed: &str) -> std::result::Result<PrivateKey, Error> {
    c.spend((text.len() / 64).saturating_pow(3))?;
    PrivateKey::parse(text).map_err(|error| Error::new(format!("{failed}: {error}")))
}

fn given_key(c: Ctx<'_, '_>, a: &Args<'_>, at: usize) -> std::result::Result<PrivateKey, Error> {
    private_key(c, a.bytes(at), "parsing private key")
}

fn generate_key(c: Ctx<'_, '_>, a: Args<'_>) -> Result {
    let key = match a.bytes(0) {
        b"" | b"rsa" => PrivateKey::rsa(c, 4096)?,
        b"dsa" => PrivateKey::Dsa(Box::new(DsaKey::new(c)?)),
        b"ecdsa" => {
            c.spend(CURVE_STEPS)?;
            PrivateKey::p256(c)
        }
        b"ed25519" => {
            c.spend(CURVE_STEPS)?;
            PrivateKey::ed25519(c)
        }
        other => return Ok([b"Unknown type ", other].concat().into()),
    };
    Ok(key.to_pem().into())
}

fn custom(c: Ctx<'_, '_>, a: Args<'_>) -> Result {
    c.spend((a.bytes(0).len() + a.bytes(1).len()) / 16)?;
    let cert = decode_base64(a.bytes(0)).map_err(|_| Error::new("unable to decode base64 certificate"))?;
    let key = decode_base64(a.bytes(1)).map_err(|_| Error::new("unable to decode base64 private key"))?;
    let block = pem::decode(&cert).ok_or_else(|| Error::new("unable to decode certificate"))?;
    if certificate::parse(&block.data).is_none() {
        let error = "error parsing certificate: decodedCert.Bytes: x509: malformed certificate";
        return Err(Error::new(error));
    }
    private_key(c, &key, "error parsing private key")?;
    Ok(Value::object(Certificate { cert: cert.into(), key: key.into() }))
}

/// The template of a certificate from a name, addresses, hosts and days.
fn template(
    c: Ctx<'_, '_>,
    name: &[u8],
    addresses: &[Value],
    hosts: &[Value],
    days: i64,
) -> std::result::Result<CertificateTemplate, Error> {
    c.spend(name.len() / 16 + addresses.len() + hosts.len())?;
    let mut template =
        CertificateTemplate { common_name: name.to_vec(), days, ..CertificateTemplate::default() };
    for address in addresses {
        let Value::Str(text) = address else {
            let shown = String::from_utf8_lossy(&display(c, address)?).into_owned();
            return Err(Error::new(format!("error parsing ip: {shown} is not a string")));
        };
        let parsed = text.utf8().and_then(|text| text.parse::<IpAddr>().ok());
        let parsed = parsed.ok_or_else(|| Error::new(format!("error parsing ip: {}", text.lossy())))?;
        template.addresses.push(parsed);
    }
    for host in hosts {
        let Value::Str(text) = host else {
            let shown = String::from_utf8_lossy(&display(c, host)?).into_owned();
            return Err(Error::new(format!("error processing alternate dns name: {shown} is not a string")));
        };
        template.hosts.push(text.to_vec());
    }
    Ok(template)
}

fn created(
    c: Ctx<'_, '_>,
    template: &CertificateTemplate,
    key: &PrivateKey,
    issuer: Option<(&Issuer, &PrivateKey)>,
) -> Result {
    c.spend(20_000)?;
    let data = certificate::create(c, template, key, issuer)
        .map_err(|error| Error::new(format!("error creating certificate: {error}")))?;
    Ok(Value::object(Certificate {
        cert: pem::encode("CERTIFICATE", &data).into(),
        key: key.to_pem().into(),
    }))
}

fn authority(c: Ctx<'_, '_>, a: Args<'_>, key: &PrivateKey) -> Result {
    let template = CertificateTemplate { is_authority: true, ..template(c, a.bytes(0), &[], &[], a.int(1))? };
    created(c, &template, key, None)
}

fn self_signed(c: Ctx<'_, '_>, a: Args<'_>, key: &PrivateKey) -> Result {
    let template = template(c, a.bytes(0), a.items(1), a.items(2), a.int(3))?;
    created(c, &template, key, None)
}

fn signed(c: Ctx<'_, '_>, a: Args<'_>, key: &PrivateKey) -> Result {
    let authority = a.object::<Certificate>(4).ok_or_else(|| Error::new("unable to decode certificate"))?;
    c.spend(authority.cert.len() / 16)?;
    let block = pem::decode(&authority.cert).ok_or_else(|| Error::new("unable to decode certificate"))?;
    let issuer = certificate::parse(&block.data).ok_or_else(|| {
        Error::new("error parsing certificate: decodedSignerCert.Bytes: x509: malformed certificate")
    })?;
    let signer = private_key(c, &authority.key, "error parsing private key")?;
    let template = template(c, a.bytes(0), a.items(1), a.items(2), a.int(3))?;
    created(c, &template, key, Some((&issuer, &signer)))
}
