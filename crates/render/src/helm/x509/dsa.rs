//! DSA keys of 2048 and 256 bits, which `genPrivateKey "dsa"` asks for.

use rsa::BigUint;
use rsa::rand_core::RngCore as _;

use super::der::{DerReader, integer, sequence};
use super::entropy::Entropy;
use crate::helm::context::RenderContext;
use crate::helm::error::Error;

/// A private key with its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DsaKey {
    /// p, q, g, y and x.
    numbers: [BigUint; 5],
}

/// Bits of p and of q.
const SIZES: (usize, usize) = (2048, 256);
/// The steps that a primality test of a large number counts for.
const TEST_STEPS: usize = 20_000;

impl DsaKey {
    /// A new key. Fails if the render's budget is spent.
    pub fn new(context: &mut RenderContext<'_>) -> Result<Self, Error> {
        let one = BigUint::from(1_u8);
        let q = loop {
            context.spend(TEST_STEPS / 50)?;
            let candidate = random(context, SIZES.1);
            if is_prime(context, &candidate) {
                break candidate;
            }
        };
        let twice = &q * 2_u8;
        let p = loop {
            context.spend(TEST_STEPS)?;
            let candidate = random(context, SIZES.0);
            // q must divide p - 1.
            let rest = &candidate % &twice;
            let candidate = candidate - rest + &one;
            if candidate.bits() == SIZES.0 && is_prime(context, &candidate) {
                break candidate;
            }
        };
        let exponent = (&p - &one) / &q;
        let mut base = BigUint::from(2_u8);
        let generator = loop {
            let candidate = base.modpow(&exponent, &p);
            if candidate != one {
                break candidate;
            }
            base += 1_u8;
        };
        let x = random(context, SIZES.1) % &q;
        let y = generator.modpow(&x, &p);
        Ok(Self { numbers: [p, q, generator, y, x] })
    }

    /// Reads sprig's form.
    pub fn parse(data: &[u8]) -> Option<Self> {
        let mut reader = DerReader(data).sequence()?;
        reader.take(0x02)?;
        let mut number = || Some(BigUint::from_bytes_be(reader.take(0x02)?.content));
        Some(Self { numbers: [number()?, number()?, number()?, number()?, number()?] })
    }

    /// sprig's form: version 0, p, q, g, y and x.
    pub fn to_der(&self) -> Vec<u8> {
        let mut parts = vec![integer(&[])];
        parts.extend(self.numbers.iter().map(|number| integer(&number.to_bytes_be())));
        sequence(&parts)
    }
}

/// A random odd number of exactly this many bits.
fn random(context: &mut RenderContext<'_>, bits: usize) -> BigUint {
    let mut bytes = vec![0; bits / 8];
    Entropy(context).fill_bytes(&mut bytes);
    bytes[0] |= 0x80;
    let last = bytes.len() - 1;
    bytes[last] |= 1;
    BigUint::from_bytes_be(&bytes)
}

const SMALL_PRIMES: [u32; 30] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103,
    107, 109, 113, 127,
];

/// Miller and Rabin's test with 32 random bases.
fn is_prime(context: &mut RenderContext<'_>, number: &BigUint) -> bool {
    let zero = BigUint::from(0_u8);
    if SMALL_PRIMES.iter().any(|prime| number % *prime == zero) {
        return false;
    }
    let one = BigUint::from(1_u8);
    let before = number - &one;
    let twos = before.trailing_zeros().unwrap_or_default();
    let odd = &before >> twos;
    (0..32).all(|_| {
        let base = random(context, number.bits() / 8 * 8) % number;
        let mut power = base.modpow(&odd, number);
        if power == one || power == before {
            return true;
        }
        for _ in 1..twos {
            power = &power * &power % number;
            if power == before {
                return true;
            }
        }
        false
    })
}
