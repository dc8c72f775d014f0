//! Private keys: made, read, written, and used to sign.

use p256::ecdsa::signature::{RandomizedSigner as _, Signer as _};
use p256::elliptic_curve::sec1::ToEncodedPoint as _;
use rsa::pkcs1::{DecodeRsaPrivateKey as _, EncodeRsaPrivateKey as _, EncodeRsaPublicKey as _};
use rsa::pkcs8::DecodePrivateKey as _;
use rsa::{Pkcs1v15Sign, RsaPrivateKey};
use sha2::{Digest as _, Sha256};

use super::der::{DerReader, bits, integer, null, octets, oid, sequence, value};
use super::dsa::DsaKey;
use super::entropy::Entropy;
use super::pem;
use crate::helm::context::RenderContext;

/// A private key.
#[derive(Debug, Clone)]
pub enum PrivateKey {
    /// RSA
    Rsa(Box<RsaPrivateKey>),
    /// ECDSA over P-256
    P256(p256::SecretKey),
    /// ECDSA over P-384
    P384(p384::SecretKey),
    /// ECDSA over P-521
    P521(p521::SecretKey),
    /// Ed25519
    Ed25519(Box<ed25519_dalek::SigningKey>),
    /// DSA, which signs no certificates
    Dsa(Box<DsaKey>),
}

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const SHA256_WITH_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];
const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const ECDSA_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];
const ECDSA_SHA512: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

/// The steps that the making of a 2048-bit RSA key counts for.
const RSA_STEPS: usize = 1_000_000;

impl PrivateKey {
    /// A new RSA key. Fails if the render's budget is spent.
    pub fn rsa(context: &mut RenderContext<'_>, size: usize) -> Result<Self, crate::helm::error::Error> {
        context.spend(RSA_STEPS * (size / 2048).pow(3))?;
        let key = RsaPrivateKey::new(&mut Entropy(context), size);
        let key = key
            .map_err(|error| crate::helm::error::Error::new(format!("error generating rsa key: {error}")))?;
        Ok(Self::Rsa(Box::new(key)))
    }

    /// A new key over P-256.
    pub fn p256(context: &mut RenderContext<'_>) -> Self {
        Self::P256(p256::SecretKey::random(&mut Entropy(context)))
    }

    /// A new Ed25519 key.
    pub fn ed25519(context: &mut RenderContext<'_>) -> Self {
        let mut seed = [0; 32];
        context.fill(&mut seed);
        Self::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(&seed)))
    }

    /// Reads the first PEM block in a text. Errors have sprig's words.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let block = pem::decode(text).ok_or("no PEM data in input")?;
        if block.label == "PRIVATE KEY" {
            let key = Self::from_pkcs8(&block.data);
            return key
                .ok_or_else(|| "decoding PEM as PKCS#8: asn1: structure error: not a private key".into());
        }
        let Some(kind) = block.label.strip_suffix(" PRIVATE KEY") else {
            return Err(format!("no private key data in PEM block of type {}", block.label));
        };
        let failed = |kind: &str| {
            format!("parsing {kind} private key from PEM: asn1: structure error: not a private key")
        };
        match kind {
            "RSA" => RsaPrivateKey::from_pkcs1_der(&block.data)
                .map(|key| Self::Rsa(Box::new(key)))
                .map_err(|_| failed("RSA")),
            "EC" => Self::from_sec1(&block.data, None).ok_or_else(|| failed("EC")),
            "DSA" => {
                DsaKey::parse(&block.data).map(|key| Self::Dsa(Box::new(key))).ok_or_else(|| failed("DSA"))
            }
            _ => Err(format!("invalid private key type {}", block.label)),
        }
    }

    fn from_pkcs8(data: &[u8]) -> Option<Self> {
        let mut outer = DerReader(data).sequence()?;
        outer.take(0x02)?;
        let mut algorithm = outer.sequence()?;
        let name = algorithm.take(0x06)?.content;
        let inner = outer.take(0x04)?.content;
        if name == RSA {
            return RsaPrivateKey::from_pkcs8_der(data).ok().map(|key| Self::Rsa(Box::new(key)));
        }
        if name == EC {
            return Self::from_sec1(inner, algorithm.take(0x06).map(|curve| curve.content));
        }
        let seed = DerReader(inner).take(0x04).filter(|_| name == ED25519)?.content;
        let seed = <[u8; 32]>::try_from(seed).ok()?;
        Some(Self::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(&seed))))
    }

    /// A SEC 1 key. It names its curve, or the curve is known from its surroundings.
    fn from_sec1(data: &[u8], curve: Option<&[u8]>) -> Option<Self> {
        let mut reader = DerReader(data).sequence()?;
        reader.take(0x02)?;
        let secret = reader.take(0x04)?.content;
        let named = reader.take(0xa0).and_then(|parameters| DerReader(parameters.content).take(0x06));
        let curve = named.map(|named| named.content).or(curve)?;
        // Go accepts keys with more or fewer leading zeros than the curve's numbers have.
        let digits = &secret[secret.iter().position(|byte| *byte != 0).unwrap_or(secret.len())..];
        let padded = |size: usize| {
            let zeros = size.checked_sub(digits.len())?;
            Some([vec![0; zeros], digits.to_vec()].concat())
        };
        if curve == P256 {
            return p256::SecretKey::from_slice(&padded(32)?).ok().map(Self::P256);
        }
        if curve == P384 {
            return p384::SecretKey::from_slice(&padded(48)?).ok().map(Self::P384);
        }
        let secret = padded(66).filter(|_| curve == P521)?;
        p521::SecretKey::from_slice(&secret).ok().map(Self::P521)
    }

    /// The key in PEM, in sprig's format for its kind.
    pub fn to_pem(&self) -> String {
        match self {
            Self::Rsa(key) => {
                let der = key.to_pkcs1_der().map(|der| der.as_bytes().to_vec()).unwrap_or_default();
                pem::encode("RSA PRIVATE KEY", &der)
            }
            Self::P256(key) => {
                pem::encode("EC PRIVATE KEY", &sec1(&key.to_bytes(), P256, &self.public_point()))
            }
            Self::P384(key) => {
                pem::encode("EC PRIVATE KEY", &sec1(&key.to_bytes(), P384, &self.public_point()))
            }
            Self::P521(key) => {
                pem::encode("EC PRIVATE KEY", &sec1(&key.to_bytes(), P521, &self.public_point()))
            }
            Self::Ed25519(key) => {
                let parts = [integer(&[]), sequence(&[oid(ED25519)]), octets(&octets(key.as_bytes()))];
                pem::encode("PRIVATE KEY", &sequence(&parts))
            }
            Self::Dsa(key) => pem::encode("DSA PRIVATE KEY", &key.to_der()),
        }
    }

    /// The public key in the form that a certificate holds.
    pub fn public_point(&self) -> Vec<u8> {
        match self {
            Self::Rsa(key) => {
                let public = key.to_public_key();
                public.to_pkcs1_der().map(|der| der.as_bytes().to_vec()).unwrap_or_default()
            }
            Self::P256(key) => key.public_key().to_encoded_point(false).as_bytes().to_vec(),
            Self::P384(key) => key.public_key().to_encoded_point(false).as_bytes().to_vec(),
            Self::P521(key) => key.public_key().to_encoded_point(false).as_bytes().to_vec(),
            Self::Ed25519(key) => key.verifying_key().to_bytes().to_vec(),
            Self::Dsa(_) => Vec::new(),
        }
    }

    /// The public key with its algorithm, as a certificate has it.
    pub fn public_info(&self) -> Vec<u8> {
        let curve = |curve| sequence(&[oid(EC), oid(curve)]);
        let algorithm = match self {
            Self::Rsa(_) => sequence(&[oid(RSA), null()]),
            Self::P256(_) => curve(P256),
            Self::P384(_) => curve(P384),
            Self::P521(_) => curve(P521),
            Self::Ed25519(_) | Self::Dsa(_) => sequence(&[oid(ED25519)]),
        };
        sequence(&[algorithm, bits(&self.public_point())])
    }

    /// The algorithm of its signatures; `None` if it signs nothing.
    pub fn signature_algorithm(&self) -> Option<Vec<u8>> {
        Some(match self {
            Self::Rsa(_) => sequence(&[oid(SHA256_WITH_RSA), null()]),
            Self::P256(_) => sequence(&[oid(ECDSA_SHA256)]),
            Self::P384(_) => sequence(&[oid(ECDSA_SHA384)]),
            Self::P521(_) => sequence(&[oid(ECDSA_SHA512)]),
            Self::Ed25519(_) => sequence(&[oid(ED25519)]),
            Self::Dsa(_) => return None,
        })
    }

    /// Signs a message; `None` if the key cannot sign: an RSA key may be too small.
    pub fn sign(&self, context: &mut RenderContext<'_>, message: &[u8]) -> Option<Vec<u8>> {
        Some(match self {
            Self::Rsa(key) => key.sign(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(message)).ok()?,
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature = p256::ecdsa::SigningKey::from(key).sign(message);
                signature.to_der().as_bytes().to_vec()
            }
            Self::P384(key) => {
                let signature: p384::ecdsa::Signature = p384::ecdsa::SigningKey::from(key).sign(message);
                signature.to_der().as_bytes().to_vec()
            }
            Self::P521(key) => {
                let signer = p521::ecdsa::SigningKey::from_slice(&key.to_bytes()).ok()?;
                let signature: p521::ecdsa::Signature = signer.sign_with_rng(&mut Entropy(context), message);
                signature.to_der().as_bytes().to_vec()
            }
            Self::Ed25519(key) => key.sign(message).to_bytes().to_vec(),
            Self::Dsa(_) => return None,
        })
    }
}

/// An elliptic curve key in SEC 1, as `x509.MarshalECPrivateKey` writes it.
fn sec1(secret: &[u8], curve: &[u8], public: &[u8]) -> Vec<u8> {
    sequence(&[integer(&[1]), octets(secret), value(0xa0, &oid(curve)), value(0xa1, &bits(public))])
}
