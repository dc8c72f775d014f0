//! Functions that draw from the render's entropy: equal entropy gives equal results.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::helm::context::RenderContext;
use crate::helm::error::Error;
use crate::helm::function::Function;
use crate::helm::go::unicode;
use crate::helm::value::Value;
use crate::helm::value::{Args, Type as T};

type Result = std::result::Result<Value, Error>;
type Ctx<'c, 'i> = &'c mut RenderContext<'i>;

pub(super) const TABLE: &[Function] = &[
    Function::new("randAlphaNum", &[T::Int], |c, a| drawn(c, a, u8::is_ascii_alphanumeric)),
    Function::new("randAlpha", &[T::Int], |c, a| drawn(c, a, u8::is_ascii_alphabetic)),
    Function::new("randNumeric", &[T::Int], |c, a| drawn(c, a, u8::is_ascii_digit)),
    Function::new("randAscii", &[T::Int], |c, a| drawn(c, a, |byte| (b' '..=b'~').contains(byte))),
    Function::new("randBytes", &[T::Int], rand_bytes),
    Function::new("randInt", &[T::Int, T::Int], rand_int),
    Function::new("uuidv4", &[], |c, _| Ok(uuid(c).into())),
    Function::new("shuffle", &[T::String], shuffle),
];

/// A text of random characters for which `fits` returns true, each equally likely.
fn drawn(c: Ctx<'_, '_>, a: Args<'_>, fits: fn(&u8) -> bool) -> Result {
    let count = usize::try_from(a.int(0)).unwrap_or_default();
    c.room(count)?;
    c.spend(count)?;
    let alphabet: Vec<u8> = (0..128).filter(fits).collect();
    let mut out = Vec::with_capacity(count);
    for _ in 0..count {
        let at = c.below(alphabet.len() as u64);
        out.push(alphabet[usize::try_from(at).unwrap_or_default()]);
    }
    Ok(out.into())
}

fn rand_bytes(c: Ctx<'_, '_>, a: Args<'_>) -> Result {
    let count =
        usize::try_from(a.int(0)).map_err(|_| Error::new("runtime error: makeslice: len out of range"))?;
    c.room(count.saturating_mul(2))?;
    let mut bytes = vec![0; count];
    c.fill(&mut bytes);
    Ok(STANDARD.encode(bytes).into())
}

fn rand_int(c: Ctx<'_, '_>, a: Args<'_>) -> Result {
    let span = a.int(1).wrapping_sub(a.int(0));
    let span = u64::try_from(span).ok().filter(|span| *span > 0);
    let span = span.ok_or_else(|| Error::new("invalid argument to Intn"))?;
    Ok(Value::Int(c.below(span).cast_signed().wrapping_add(a.int(0))))
}

fn uuid(c: Ctx<'_, '_>) -> String {
    let mut bytes = [0; 16];
    c.fill(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = hex::encode(bytes);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

fn shuffle(c: Ctx<'_, '_>, a: Args<'_>) -> Result {
    let mut chars: Vec<char> = unicode::chars(a.bytes(0)).collect();
    c.spend(chars.len())?;
    for at in (1..chars.len()).rev() {
        let other = c.below(at as u64 + 1);
        chars.swap(at, usize::try_from(other).unwrap_or_default());
    }
    Ok(chars.into_iter().collect::<String>().into())
}
