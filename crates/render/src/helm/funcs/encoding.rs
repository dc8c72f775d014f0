//! Base64 and base32, with the messages that Go's decoders give instead of a result.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::helm::function::Function;
use crate::helm::value::Type as T;

pub(super) const TABLE: &[Function] = &[
    Function::new("b64enc", &[T::String], |c, a| {
        c.room(a.bytes(0).len().div_ceil(3) * 4)?;
        Ok(STANDARD.encode(a.bytes(0)).into())
    }),
    Function::new("b64dec", &[T::String], |_, a| {
        Ok(decode_base64(a.bytes(0)).unwrap_or_else(|at| corrupt("base64", at).into_bytes()).into())
    }),
    Function::new("b32enc", &[T::String], |c, a| {
        c.room(a.bytes(0).len().div_ceil(5) * 8)?;
        Ok(encode_base32(a.bytes(0)).into())
    }),
    Function::new("b32dec", &[T::String], |_, a| {
        Ok(decode_base32(a.bytes(0)).unwrap_or_else(|at| corrupt("base32", at).into_bytes()).into())
    }),
];

/// Go's message about an invalid byte.
pub(super) fn corrupt(encoding: &str, at: usize) -> String {
    format!("illegal {encoding} data at input byte {at}")
}

fn sextet(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

/// Go's `base64.StdEncoding.DecodeString`: line ends are skipped, and padding is required. The error is the
/// place of the invalid byte.
pub(super) fn decode_base64(text: &[u8]) -> Result<Vec<u8>, usize> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let mut at = 0;
    let skip = |mut at: usize| {
        while matches!(text.get(at), Some(b'\n' | b'\r')) {
            at += 1;
        }
        at
    };
    loop {
        let mut group = [0_u8; 4];
        let mut count = 0;
        while count < 4 {
            at = skip(at);
            let Some(byte) = text.get(at) else {
                return if count == 0 { Ok(out) } else { Err(at - count) };
            };
            at += 1;
            if let Some(value) = sextet(*byte) {
                group[count] = value;
                count += 1;
                continue;
            }
            if *byte != b'=' || count < 2 {
                return Err(at - 1);
            }
            if count == 2 {
                at = skip(at);
                match text.get(at) {
                    None => return Err(text.len()),
                    Some(b'=') => at += 1,
                    Some(_) => return Err(at - 1),
                }
            }
            at = skip(at);
            if at < text.len() {
                return Err(at);
            }
            out.push(group[0] << 2 | group[1] >> 4);
            if count == 3 {
                out.push(group[1] << 4 | group[2] >> 2);
            }
            return Ok(out);
        }
        out.extend([group[0] << 2 | group[1] >> 4, group[1] << 4 | group[2] >> 2, group[2] << 6 | group[3]]);
    }
}

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn encode_base32(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(5) * 8);
    for group in bytes.chunks(5) {
        let mut padded = [0_u8; 8];
        padded[3..3 + group.len()].copy_from_slice(group);
        let number = u64::from_be_bytes(padded);
        let digits = (group.len() * 8).div_ceil(5);
        for digit in 0..8 {
            let value = usize::try_from(number >> (35 - digit * 5) & 31).unwrap_or_default();
            out.push(if digit < digits { char::from(ALPHABET[value]) } else { '=' });
        }
    }
    out
}

/// Go's `base32.StdEncoding.DecodeString`.
fn decode_base32(text: &[u8]) -> Result<Vec<u8>, usize> {
    let text: Vec<u8> = text.iter().copied().filter(|byte| !matches!(byte, b'\n' | b'\r')).collect();
    let mut out = Vec::with_capacity(text.len() / 8 * 5);
    let mut at = 0;
    while at < text.len() {
        let mut number = 0_u64;
        let mut count = 0;
        let mut is_end = false;
        while count < 8 {
            let Some(byte) = text.get(at) else { return Err(at - count) };
            at += 1;
            let left = text.len() - at;
            if *byte == b'=' && count >= 2 && left < 8 {
                if left + count < 7 {
                    return Err(text.len());
                }
                if let Some(wrong) =
                    (0..7 - count).find(|k| text.get(at + k).is_some_and(|byte| *byte != b'='))
                {
                    return Err(at + wrong - 1);
                }
                if matches!(count, 3 | 6) {
                    return Err(at - 1);
                }
                is_end = true;
                break;
            }
            let value = ALPHABET.iter().position(|letter| letter == byte).ok_or(at - 1)?;
            number = number << 5 | value as u64;
            count += 1;
        }
        number <<= (8 - count) * 5;
        out.extend_from_slice(&number.to_be_bytes()[3..3 + count * 5 / 8]);
        if is_end {
            break;
        }
    }
    Ok(out)
}
