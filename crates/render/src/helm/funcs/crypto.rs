//! Sums, passwords and AES.

use aes::Aes256;
use aes::cipher::{BlockDecryptMut as _, BlockEncryptMut as _, KeyIvInit as _, block_padding::NoPadding};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};

use super::convert::cut;
use super::encoding::{corrupt, decode_base64};
use crate::helm::context::RenderContext;
use crate::helm::error::Error;
use crate::helm::function::Function;
use crate::helm::value::Value;
use crate::helm::value::{Args, Type as T};

type Result = std::result::Result<Value, Error>;
type Ctx<'c, 'i> = &'c mut RenderContext<'i>;

pub(super) const TABLE: &[Function] = &[
    Function::new("sha1sum", &[T::String], |c, a| summed(c, a, |bytes| sha1::Sha1::digest(bytes).to_vec())),
    Function::new("sha256sum", &[T::String], |c, a| summed(c, a, |bytes| Sha256::digest(bytes).to_vec())),
    Function::new("sha512sum", &[T::String], |c, a| {
        summed(c, a, |bytes| sha2::Sha512::digest(bytes).to_vec())
    }),
    Function::new("adler32sum", &[T::String], |c, a| {
        c.spend(a.bytes(0).len() / 64)?;
        Ok(adler32(a.bytes(0)).to_string().into())
    }),
    Function::new("bcrypt", &[T::String], |c, a| Ok(bcrypt(c, a.bytes(0))?.into())),
    Function::new("htpasswd", &[T::String, T::String], |c, a| {
        if a.bytes(0).contains(&b':') {
            return Ok([b"invalid username: ", a.bytes(0)].concat().into());
        }
        let hash = bcrypt(c, a.bytes(1))?;
        Ok([a.bytes(0), b":", hash.as_bytes()].concat().into())
    }),
    Function::new(
        "derivePassword",
        &[T::Uint32, T::String, T::String, T::String, T::String],
        derive_password,
    ),
    Function::new("encryptAES", &[T::String, T::String], encrypt),
    Function::new("decryptAES", &[T::String, T::String], decrypt),
];

fn summed(c: Ctx<'_, '_>, a: Args<'_>, sum: fn(&[u8]) -> Vec<u8>) -> Result {
    c.spend(a.bytes(0).len() / 64)?;
    Ok(hex::encode(sum(a.bytes(0))).into())
}

fn adler32(bytes: &[u8]) -> u32 {
    const PRIME: u32 = 65_521;
    // A chunk of this size cannot overflow a sum of 32 bits.
    let (mut low, mut high) = (1_u32, 0_u32);
    for piece in bytes.chunks(5552) {
        for byte in piece {
            low += u32::from(*byte);
            high += low;
        }
        low %= PRIME;
        high %= PRIME;
    }
    high << 16 | low
}

/// The number of bcrypt's rounds is two to the power of this.
const COST: u32 = 10;
/// The steps that a bcrypt hash counts for.
const BCRYPT_STEPS: usize = 200_000;

/// bcrypt with a random salt, or Go's message about a password that is too long.
fn bcrypt(c: Ctx<'_, '_>, password: &[u8]) -> std::result::Result<String, Error> {
    if password.len() > 72 {
        return Ok("failed to encrypt string with bcrypt: bcrypt: password length exceeds 72 bytes".into());
    }
    c.spend(BCRYPT_STEPS)?;
    let mut salt = [0; 16];
    c.fill(&mut salt);
    let key = [password, &[0]].concat();
    let mut state: blowfish::Blowfish = blowfish::Blowfish::bc_init_state();
    state.salted_expand_key(&salt, &key);
    for _ in 0..1_u32 << COST {
        state.bc_expand_key(&key);
        state.bc_expand_key(&salt);
    }
    let mut hash = Vec::new();
    for pair in b"OrpheanBeholderScryDoubt".chunks(8) {
        let half = |at: usize| u32::from_be_bytes([pair[at], pair[at + 1], pair[at + 2], pair[at + 3]]);
        let mut block = [half(0), half(4)];
        for _ in 0..64 {
            block = state.bc_encrypt(block);
        }
        hash.extend(block.iter().flat_map(|half| half.to_be_bytes()));
    }
    let engine = GeneralPurpose::new(
        &base64::alphabet::BCRYPT,
        GeneralPurposeConfig::new().with_encode_padding(false),
    );
    // The last byte is not part of the text.
    Ok(format!("$2a${COST:02}${}{}", engine.encode(salt), engine.encode(&hash[..23])))
}

/// The forms of a password, by the name of its type.
const FORMS: [(&str, &[&str]); 6] = [
    ("maximum", &["anoxxxxxxxxxxxxxxxxx", "axxxxxxxxxxxxxxxxxno"]),
    (
        "long",
        &[
            "CvcvnoCvcvCvcv",
            "CvcvCvcvnoCvcv",
            "CvcvCvcvCvcvno",
            "CvccnoCvcvCvcv",
            "CvccCvcvnoCvcv",
            "CvccCvcvCvcvno",
            "CvcvnoCvccCvcv",
            "CvcvCvccnoCvcv",
            "CvcvCvccCvcvno",
            "CvcvnoCvcvCvcc",
            "CvcvCvcvnoCvcc",
            "CvcvCvcvCvccno",
            "CvccnoCvccCvcv",
            "CvccCvccnoCvcv",
            "CvccCvccCvcvno",
            "CvcvnoCvccCvcc",
            "CvcvCvccnoCvcc",
            "CvcvCvccCvccno",
            "CvccnoCvcvCvcc",
            "CvccCvcvnoCvcc",
            "CvccCvcvCvccno",
        ],
    ),
    ("medium", &["CvcnoCvc", "CvcCvcno"]),
    ("short", &["Cvcn"]),
    ("basic", &["aaanaaan", "aannaaan", "aaannaaa"]),
    ("pin", &["nnnn"]),
];

/// The characters that a letter of a form stands for.
fn choices(letter: u8) -> &'static [u8] {
    match letter {
        b'V' => b"AEIOU",
        b'C' => b"BCDFGHJKLMNPQRSTVWXYZ",
        b'v' => b"aeiou",
        b'c' => b"bcdfghjklmnpqrstvwxyz",
        b'a' => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz",
        b'n' => b"0123456789",
        b'o' => b"@&%?,=[]_:-+*$#!'^~;()/.",
        _ => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz0123456789!@#$%^&*()",
    }
}

/// The steps that a scrypt key counts for, and its memory in bytes.
const SCRYPT_STEPS: usize = 600_000;
const SCRYPT_BYTES: usize = 33 << 20;

/// The Master Password algorithm: derives the password of a site from a master password.
fn derive_password(c: Ctx<'_, '_>, a: Args<'_>) -> Result {
    const SEED: &[u8] = b"com.lyndir.masterpassword";
    let (kind, password, user, site) = (a.bytes(1), a.bytes(2), a.bytes(3), a.bytes(4));
    let Some((_, forms)) = FORMS.iter().find(|(name, _)| name.as_bytes() == kind) else {
        return Ok([b"cannot find password template ", kind].concat().into());
    };
    c.spend(SCRYPT_STEPS)?;
    c.memory(SCRYPT_BYTES)?;
    let length = |text: &[u8]| u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes();
    let counter = u32::try_from(a.int(0)).unwrap_or_default().to_be_bytes();
    let salt = [SEED, &length(user), user].concat();
    let failed = |error: &dyn std::fmt::Display| Error::new(format!("failed to derive password: {error}"));
    let parameters = scrypt::Params::new(15, 8, 2, 64).map_err(|error| failed(&error))?;
    let mut key = [0; 64];
    scrypt::scrypt(password, &salt, &parameters, &mut key).map_err(|error| failed(&error))?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|error| failed(&error))?;
    mac.update(&[SEED, &length(site), site, &counter].concat());
    let seed = mac.finalize().into_bytes();
    let form = forms[usize::from(seed[0]) % forms.len()].bytes();
    let letters = form.zip(&seed[1..]).map(|(letter, random)| {
        let choices = choices(letter);
        choices[usize::from(*random) % choices.len()]
    });
    Ok(letters.collect::<Vec<u8>>().into())
}

const BLOCK: usize = 16;

/// A password as a key: cut or filled with zeros.
fn aes_key(password: &[u8]) -> [u8; 32] {
    let mut key = [0; 32];
    let length = password.len().min(32);
    key[..length].copy_from_slice(&password[..length]);
    key
}

fn encrypt(c: Ctx<'_, '_>, a: Args<'_>) -> Result {
    let plain = a.bytes(1);
    if plain.is_empty() {
        return Ok("".into());
    }
    c.room(plain.len().saturating_mul(2) + 64)?;
    let padding = BLOCK - plain.len() % BLOCK;
    let mut content = plain.to_vec();
    content.resize(plain.len() + padding, u8::try_from(padding).unwrap_or_default());
    let mut start = [0; BLOCK];
    c.fill(&mut start);
    let cipher = cbc::Encryptor::<Aes256>::new(&aes_key(a.bytes(0)).into(), &start.into());
    let encrypted = cipher.encrypt_padded_vec_mut::<NoPadding>(&content);
    Ok(STANDARD.encode([&start[..], &encrypted].concat()).into())
}

fn decrypt(c: Ctx<'_, '_>, a: Args<'_>) -> Result {
    if a.bytes(1).is_empty() {
        return Ok("".into());
    }
    c.spend(a.bytes(1).len() / 16)?;
    let data = decode_base64(a.bytes(1)).map_err(|at| Error::new(corrupt("base64", at)))?;
    // Go reserves room for whole groups of three bytes.
    let room = a.bytes(1).len() / 4 * 3;
    if room < BLOCK {
        return Err(Error::new(format!(
            "runtime error: slice bounds out of range [:16] with capacity {room}"
        )));
    }
    if data.len() < BLOCK {
        return Err(Error::new(format!("runtime error: slice bounds out of range [16:{}]", data.len())));
    }
    let (start, content) = data.split_at(BLOCK);
    if content.len() % BLOCK != 0 {
        return Err(Error::new("crypto/cipher: input not full blocks"));
    }
    let start = <[u8; BLOCK]>::try_from(start).unwrap_or_default();
    let cipher = cbc::Decryptor::<Aes256>::new(&aes_key(a.bytes(0)).into(), &start.into());
    let plain = cipher.decrypt_padded_vec_mut::<NoPadding>(content).unwrap_or_default();
    let Some(padding) = plain.last() else {
        return Err(Error::new("runtime error: index out of range [-1]"));
    };
    let end = i64::try_from(plain.len()).unwrap_or(i64::MAX) - i64::from(*padding);
    cut(&plain, None, Some(end)).map(Value::str)
}
