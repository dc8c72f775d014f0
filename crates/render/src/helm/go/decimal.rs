//! The decimal digits of a float.

/// More digits than any float has. The formatter of the standard library has a limit on its precision.
pub(super) const MOST_DIGITS: usize = 1100;

/// Decimal digits: `0.d1d2d3… * 10^point`.
pub(super) struct Digits {
    /// At least one, ASCII.
    pub(super) text: String,
    /// The place of the decimal point, counted from before the first digit.
    pub(super) point: i64,
}

impl Digits {
    /// The fewest digits that read back as the same number.
    pub(super) fn shortest(magnitude: f64) -> Self {
        let shortest = format!("{magnitude:e}");
        // Of two candidates with the same length and distance, Go takes the even one.
        let digits = shortest.bytes().take_while(|byte| *byte != b'e').filter(u8::is_ascii_digit).count();
        let nearest = format!("{magnitude:.*e}", digits - 1);
        let is_same = nearest.parse::<f64>().is_ok_and(|read| read.to_bits() == magnitude.to_bits());
        Self::of(if is_same { &nearest } else { &shortest })
    }

    /// This many digits, rounded half to even.
    pub(super) fn rounded(magnitude: f64, count: usize) -> Self {
        let mut digits = Self::of(&format!("{magnitude:.*e}", count.min(MOST_DIGITS) - 1));
        digits.text.push_str(&"0".repeat(count.saturating_sub(MOST_DIGITS)));
        digits
    }

    fn of(scientific: &str) -> Self {
        let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
        let text = mantissa.replace('.', "");
        Self { text, point: exponent.parse::<i64>().unwrap_or_default() + 1 }
    }

    /// Without zeros at the end.
    pub(super) fn trimmed(mut self) -> Self {
        let kept = self.text.trim_end_matches('0').len();
        self.text.truncate(kept.max(1));
        self
    }

    /// `d.ddde±dd` with this many digits after the point.
    pub(super) fn exponent(&self, precision: usize) -> String {
        let (first, rest) = self.text.split_at(1);
        let point = if precision > 0 { "." } else { "" };
        let exponent = self.point - 1;
        let sign = if exponent < 0 { '-' } else { '+' };
        let zeros = "0".repeat(precision.saturating_sub(rest.len()));
        format!("{first}{point}{rest}{zeros}e{sign}{:02}", exponent.unsigned_abs())
    }

    /// `ddd.ddd` with all digits.
    pub(super) fn fixed(&self) -> String {
        let count = i64::try_from(self.text.len()).unwrap_or(i64::MAX);
        let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or_default());
        if self.text == "0" {
            return "0".into();
        }
        if self.point <= 0 {
            return format!("0.{}{}", zeros(-self.point), self.text);
        }
        if self.point >= count {
            return format!("{}{}", self.text, zeros(self.point - count));
        }
        let (whole, fraction) = self.text.split_at(usize::try_from(self.point).unwrap_or_default());
        format!("{whole}.{fraction}")
    }
}
