//! Arithmetic: whole numbers as Go's `int64`, floats through exact decimals as the Go library `decimal` has
//! them.

use num_bigint::{BigInt, Sign};

use super::convert::{to_float, to_int};
use crate::helm::context::RenderContext;
use crate::helm::error::Error;
use crate::helm::function::Function;
use crate::helm::go::number::{FloatForm, format_float, int_to_float};
use crate::helm::value::Value;
use crate::helm::value::{Args, Type as T};

type Result = std::result::Result<Value, Error>;
type Ctx<'c, 'i> = &'c mut RenderContext<'i>;

pub(super) const TABLE: &[Function] = &[
    Function::new("int", &[T::Any], |_, a| Ok(Value::Int(to_int(a.value(0))))),
    Function::new("int64", &[T::Any], |_, a| Ok(Value::Int64(to_int(a.value(0))))),
    Function::new("float64", &[T::Any], |_, a| Ok(Value::Float(to_float(a.value(0))))),
    Function::new("add1", &[T::Any], |_, a| Ok(Value::Int64(to_int(a.value(0)).wrapping_add(1)))),
    Function::variadic("add", &[], T::Any, |_, a| Ok(Value::Int64(numbers(a).fold(0, i64::wrapping_add)))),
    Function::new("sub", &[T::Any, T::Any], |_, a| {
        Ok(Value::Int64(to_int(a.value(0)).wrapping_sub(to_int(a.value(1)))))
    }),
    Function::new("div", &[T::Any, T::Any], |_, a| divided(a, i64::wrapping_div)),
    Function::new("mod", &[T::Any, T::Any], |_, a| divided(a, i64::wrapping_rem)),
    Function::variadic("mul", &[T::Any], T::Any, |_, a| {
        Ok(Value::Int64(numbers(a).fold(1, i64::wrapping_mul)))
    }),
    Function::variadic("max", &[T::Any], T::Any, |_, a| {
        Ok(Value::Int64(numbers(a).max().unwrap_or_default()))
    }),
    Function::variadic("biggest", &[T::Any], T::Any, |_, a| {
        Ok(Value::Int64(numbers(a).max().unwrap_or_default()))
    }),
    Function::variadic("min", &[T::Any], T::Any, |_, a| {
        Ok(Value::Int64(numbers(a).min().unwrap_or_default()))
    }),
    Function::variadic("maxf", &[T::Any], T::Any, |_, a| Ok(Value::Float(folded(a, higher)))),
    Function::variadic("minf", &[T::Any], T::Any, |_, a| Ok(Value::Float(folded(a, |x, y| -higher(-x, -y))))),
    Function::new("ceil", &[T::Any], |_, a| Ok(Value::Float(to_float(a.value(0)).ceil()))),
    Function::new("floor", &[T::Any], |_, a| Ok(Value::Float(to_float(a.value(0)).floor()))),
    Function::variadic("round", &[T::Any, T::Int], T::Float64, |_, a| Ok(round(a))),
    Function::new("add1f", &[T::Any], |c, a| {
        decimals(c, to_float(a.value(0)), &[Value::Int(1)], |_, x, y| Ok(x.add(&y)))
    }),
    Function::variadic("addf", &[], T::Any, |c, a| decimals(c, 0.0, a.rest(0), |_, x, y| Ok(x.add(&y)))),
    Function::variadic("subf", &[T::Any], T::Any, |c, a| {
        decimals(c, to_float(a.value(0)), a.rest(1), |_, x, y| Ok(x.add(&y.negated())))
    }),
    Function::variadic("mulf", &[T::Any], T::Any, |c, a| {
        decimals(c, to_float(a.value(0)), a.rest(1), |_, x, y| Ok(x.times(&y)))
    }),
    Function::variadic("divf", &[T::Any], T::Any, |c, a| {
        decimals(c, to_float(a.value(0)), a.rest(1), |_, x, y| x.over(&y))
    }),
];

fn numbers(a: Args<'_>) -> impl Iterator<Item = i64> {
    a.rest(0).iter().map(to_int)
}

fn divided(a: Args<'_>, divide: fn(i64, i64) -> i64) -> Result {
    let divisor = to_int(a.value(1));
    if divisor == 0 {
        return Err(Error::new("runtime error: integer divide by zero"));
    }
    Ok(Value::Int64(divide(to_int(a.value(0)), divisor)))
}

fn folded(a: Args<'_>, fold: fn(f64, f64) -> f64) -> f64 {
    a.rest(1).iter().map(to_float).fold(to_float(a.value(0)), fold)
}

/// `math.Max`: infinity wins over NaN, which wins over every other number.
fn higher(left: f64, right: f64) -> f64 {
    if left == f64::INFINITY || right == f64::INFINITY {
        return f64::INFINITY;
    }
    if left.is_nan() || right.is_nan() {
        return f64::NAN;
    }
    if left == 0.0 && right == 0.0 {
        return if left.is_sign_negative() { right } else { left };
    }
    if left > right { left } else { right }
}

fn round(a: Args<'_>) -> Value {
    let round_on = if a.len() > 2 { a.float(2) } else { 0.5 };
    let scale = power_of_ten(int_to_float(a.int(1)));
    let digit = scale * to_float(a.value(0));
    let rounded = if digit.fract() >= round_on { digit.ceil() } else { digit.floor() };
    Value::Float(rounded / scale)
}

/// Go's `math.Pow(10, y)` for a whole number, whose last bit is not always the nearest.
fn power_of_ten(y: f64) -> f64 {
    if y == 0.0 {
        return 1.0;
    }
    let mut left = crate::helm::go::number::float_to_int(y.abs()).max(0);
    // 10 is 0.625 * 2^4.
    let (mut result, mut exponent) = (1.0, 0_i32);
    let (mut factor, mut factor_exponent) = (0.625_f64, 4_i32);
    if y.abs() >= 9_223_372_036_854_775_808.0 {
        return if y > 0.0 { f64::INFINITY } else { 0.0 };
    }
    while left != 0 {
        if factor_exponent > 1 << 12 {
            exponent += factor_exponent;
            break;
        }
        if left & 1 == 1 {
            result *= factor;
            exponent += factor_exponent;
        }
        factor *= factor;
        factor_exponent <<= 1;
        if factor < 0.5 {
            factor += factor;
            factor_exponent -= 1;
        }
        left >>= 1;
    }
    if y < 0.0 {
        result = 1.0 / result;
        exponent = -exponent;
    }
    let half = exponent / 2;
    result * 2.0_f64.powi(half) * 2.0_f64.powi(exponent - half)
}

/// A decimal of any length: `digits * 10^exponent`.
struct Decimal {
    digits: BigInt,
    exponent: i64,
}

/// The number of decimal places of a quotient.
const PLACES: i64 = 16;

impl Decimal {
    /// The shortest decimal that reads back as this float.
    fn of(value: f64) -> std::result::Result<Self, Error> {
        if !value.is_finite() {
            let text = format_float(value, FloatForm::General, None);
            return Err(Error::new(format!("Cannot create a Decimal from {text}")));
        }
        let text = format_float(value, FloatForm::Exponent, None);
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let places = mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        let digits = mantissa.replace('.', "").parse().unwrap_or_default();
        let exponent =
            exponent.parse::<i64>().unwrap_or_default() - i64::try_from(places).unwrap_or_default();
        Ok(Self { digits, exponent })
    }

    fn negated(&self) -> Self {
        Self { digits: -&self.digits, exponent: self.exponent }
    }

    /// The digits for a lower exponent.
    fn scaled(&self, exponent: i64) -> BigInt {
        &self.digits * power(self.exponent - exponent)
    }

    fn add(&self, other: &Self) -> Self {
        let exponent = self.exponent.min(other.exponent);
        Self { digits: self.scaled(exponent) + other.scaled(exponent), exponent }
    }

    fn times(&self, other: &Self) -> Self {
        Self { digits: &self.digits * &other.digits, exponent: self.exponent + other.exponent }
    }

    fn over(&self, other: &Self) -> std::result::Result<Self, Error> {
        if other.digits.sign() == Sign::NoSign {
            return Err(Error::new("decimal division by 0"));
        }
        let shift = self.exponent - other.exponent + PLACES;
        let dividend = BigInt::from(self.digits.magnitude().clone()) * power(shift);
        let divisor = BigInt::from(other.digits.magnitude().clone()) * power(-shift);
        // A half is rounded up.
        let quotient: BigInt = (dividend * 2 + &divisor) / (divisor * 2);
        let is_negative = (self.digits.sign() == Sign::Minus) != (other.digits.sign() == Sign::Minus);
        Ok(Self { digits: if is_negative { -quotient } else { quotient }, exponent: -PLACES })
    }

    /// The nearest float.
    fn float(&self) -> f64 {
        format!("{}e{}", self.digits, self.exponent).parse().unwrap_or_default()
    }
}

/// A power of ten; one if the exponent is negative.
fn power(exponent: i64) -> BigInt {
    BigInt::from(10).pow(u32::try_from(exponent).unwrap_or_default())
}

/// Folds the operands as exact decimals.
fn decimals(
    c: Ctx<'_, '_>,
    first: f64,
    others: &[Value],
    apply: impl Fn(&mut RenderContext<'_>, Decimal, Decimal) -> std::result::Result<Decimal, Error>,
) -> Result {
    let mut result = Decimal::of(first)?;
    for other in others {
        let other = Decimal::of(to_float(other))?;
        let bits = result.digits.bits() + other.digits.bits() + result.exponent.abs_diff(other.exponent) * 4;
        c.spend(usize::try_from(bits / 64).unwrap_or(usize::MAX))?;
        result = apply(c, result, other)?;
    }
    Ok(Value::Float(result.float()))
}
