//! Version ranges as Flux's `spec.ref.semver` writes them: `>=1.0.0 <2.0.0`, `~1.2`, `^1`, `1.x`, `*`, `1.0 - 2.0`, `a || b`.
//!
//! The `semver` crate reads Cargo's notation, where `1.2.3` means `^1.2.3` and neither `||` nor `1.0 - 2.0` exist, so only
//! its versions and their order are used here.

use semver::{Prerelease, Version};

/// A range of versions: one of several sets of conditions must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Range(Vec<Vec<Condition>>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Condition {
    /// The versions inside, from this one on.
    from: Option<Version>,
    /// Up to, and without, this one.
    below: Option<Version>,
    /// Whether the versions outside are meant instead, as in `!=1.2`.
    inverted: bool,
    names_prerelease: bool,
}

/// A version of which the last parts may be missing.
struct Partial {
    parts: Vec<u64>,
    pre: Prerelease,
}

impl Range {
    /// Reads a range.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let error = |part: &str| {
            format!(
                "'{part}' in semver range '{text}' is not a version condition such as >=1.0.0 <2.0.0, ~1.2 or ^1"
            )
        };
        let mut sets = Vec::new();
        for alternative in text.split("||") {
            let mut conditions = Vec::new();
            for (operator, version) in tokens(alternative).map_err(|part| error(&part))? {
                let parsed = Partial::parse(&version).and_then(|version| version.condition(operator));
                conditions.push(parsed.ok_or_else(|| error(&format!("{operator}{version}")))?);
            }
            if conditions.is_empty() {
                return Err(error(alternative.trim()));
            }
            sets.push(conditions);
        }
        Ok(Self(sets))
    }

    /// Whether a version is in the range. A pre-release is only where a condition beside it names one.
    pub(crate) fn contains(&self, version: &Version) -> bool {
        self.0.iter().any(|conditions| {
            let may_be_prerelease = conditions.iter().any(|condition| condition.names_prerelease);
            (version.pre.is_empty() || may_be_prerelease)
                && conditions.iter().all(|condition| condition.holds(version))
        })
    }
}

/// The version that a tag is named after: `1.2.3` or `v1.2.3`.
pub(crate) fn of_tag(tag: &str) -> Option<Version> {
    Version::parse(tag.strip_prefix('v').unwrap_or(tag)).ok()
}

impl Condition {
    fn holds(&self, version: &Version) -> bool {
        let after = self.from.as_ref().is_none_or(|from| version.cmp_precedence(from).is_ge());
        let before = self.below.as_ref().is_none_or(|below| version.cmp_precedence(below).is_lt());
        (after && before) != self.inverted
    }
}

/// Splits `>= 1.0, <2 3.x` into operators and versions, and `1.0 - 2.0` into its two conditions.
fn tokens(text: &str) -> Result<Vec<(&'static str, String)>, String> {
    const OPERATORS: [(&str, &str); 13] = [
        (">=", ">="),
        ("=>", ">="),
        ("<=", "<="),
        ("=<", "<="),
        ("!=", "!="),
        ("~>", "~"),
        ("==", "="),
        (">", ">"),
        ("<", "<"),
        ("=", "="),
        ("~", "~"),
        ("^", "^"),
        ("", "="),
    ];
    let spaced = text.replace(',', " ");
    let mut rest = spaced.trim();
    let mut found: Vec<(&'static str, String)> = Vec::new();
    while !rest.is_empty() {
        if let Some(upper) = rest.strip_prefix("- ") {
            let lower = found.last_mut().filter(|(operator, _)| *operator == "=").ok_or("-")?;
            lower.0 = ">=";
            let upper = upper.trim_start();
            let end = upper.find(char::is_whitespace).unwrap_or(upper.len());
            found.push(("<=", upper[..end].to_owned()));
            rest = upper[end..].trim_start();
            continue;
        }
        let (written, operator) =
            OPERATORS.iter().find(|(written, _)| rest.starts_with(written)).copied().ok_or(rest)?;
        let version = rest[written.len()..].trim_start();
        let end = version.find(|c: char| c.is_whitespace() || "<>=!~^".contains(c)).unwrap_or(version.len());
        if end == 0 {
            return Err(rest.to_owned());
        }
        found.push((operator, version[..end].to_owned()));
        rest = version[end..].trim_start();
    }
    Ok(found)
}

impl Partial {
    fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let text = text.split_once('+').map_or(text, |(version, _)| version);
        let (numbers, pre) = text.split_once('-').map_or((text, ""), |(numbers, pre)| (numbers, pre));
        let mut parts = Vec::new();
        let mut is_open = false;
        for part in numbers.split('.') {
            match part {
                "x" | "X" | "*" => is_open = true,
                _ if is_open => return None,
                digits => parts.push(number(digits)?),
            }
        }
        if parts.len() > 3 || (!pre.is_empty() && parts.len() < 3) {
            return None;
        }
        Some(Self { parts, pre: Prerelease::new(pre).ok()? })
    }

    /// The version with zeros for what is missing.
    fn lowest(&self) -> Version {
        let part = |index: usize| self.parts.get(index).copied().unwrap_or_default();
        Version { pre: self.pre.clone(), ..Version::new(part(0), part(1), part(2)) }
    }

    /// The lowest version that differs in one of the first `keep` parts; `None` when none are kept.
    fn after(&self, keep: usize) -> Option<Version> {
        let part = |index: usize| self.parts.get(index).copied().unwrap_or_default();
        match keep {
            0 => None,
            1 => Some(Version::new(part(0) + 1, 0, 0)),
            2 => Some(Version::new(part(0), part(1) + 1, 0)),
            _ => Some(Version::new(part(0), part(1), part(2) + 1)),
        }
        // Without this a pre-release of the next version would count as below it.
        .map(|version| Version { pre: Prerelease::new("0").unwrap_or_default(), ..version })
    }

    /// The first version that is higher than every version this one stands for.
    fn beyond(&self) -> Option<Version> {
        if self.parts.len() < 3 || self.pre.is_empty() {
            return self.after(self.parts.len());
        }
        let mut next = self.lowest();
        next.pre = Prerelease::new(&format!("{}.0", self.pre)).ok()?;
        Some(next)
    }

    fn condition(&self, operator: &str) -> Option<Condition> {
        let (from, below) = match operator {
            "=" | "!=" => (Some(self.lowest()), self.beyond()),
            ">=" => (Some(self.lowest()), None),
            "<" => (None, Some(self.lowest())),
            "<=" => (None, self.beyond()),
            // `>*` holds for nothing.
            ">" => (Some(self.beyond()?), None),
            "~" => (Some(self.lowest()), self.after(self.parts.len().min(2))),
            "^" => {
                let first_set = self.parts.iter().position(|part| *part != 0);
                let keep = first_set.map_or(self.parts.len(), |index| index + 1);
                (Some(self.lowest()), self.after(keep))
            }
            _ => return None,
        };
        Some(Condition { from, below, inverted: operator == "!=", names_prerelease: !self.pre.is_empty() })
    }
}

/// A number that leaves room to count one up.
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|number| is_number && *number < u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_what_flux_takes_them_to_hold() {
        let cases: &[(&str, &str, &str)] = &[
            ("*", "0.0.1 1.2.3 99.0.0", "1.0.0-rc.1"),
            (">=1.0.0 <2.0.0", "1.0.0 1.9.9", "0.9.9 2.0.0 1.5.0-rc.1 2.0.0-rc.1"),
            (">=1.0.0, <2.0.0", "1.0.0 1.9.9", "0.9.9 2.0.0"),
            (">= 1.0.0 < 2", "1.0.0 1.9.9", "2.0.0"),
            ("1.2.3", "1.2.3", "1.2.4 1.2.2 1.3.0"),
            ("=v1.2.3", "1.2.3", "1.2.4"),
            ("1.2", "1.2.0 1.2.9", "1.3.0 1.1.9"),
            ("1.x", "1.0.0 1.9.0", "2.0.0 0.9.0"),
            ("1.2.*", "1.2.0 1.2.9", "1.3.0"),
            ("~1", "1.0.0 1.9.9", "2.0.0"),
            ("~1.2", "1.2.0 1.2.9", "1.3.0"),
            ("~1.2.3", "1.2.3 1.2.9", "1.2.2 1.3.0"),
            ("~>1.2.3", "1.2.3 1.2.9", "1.3.0"),
            ("^1", "1.0.0 1.9.9", "2.0.0"),
            ("^1.2.3", "1.2.3 1.9.9", "1.2.2 2.0.0"),
            ("^0.2.3", "0.2.3 0.2.9", "0.3.0"),
            ("^0.0.3", "0.0.3", "0.0.4"),
            ("^0.0", "0.0.0 0.0.9", "0.1.0"),
            ("^0", "0.0.0 0.9.9", "1.0.0"),
            (">1", "2.0.0", "1.0.0 1.9.9"),
            (">1.2", "1.3.0", "1.2.9"),
            (">1.2.3", "1.2.4", "1.2.3"),
            ("<=1", "1.9.9 0.1.0", "2.0.0"),
            ("<=1.2.3", "1.2.3", "1.2.4"),
            ("!=1.2.3", "1.2.4", "1.2.3"),
            ("!=1.2", "1.3.0", "1.2.3"),
            (">1.0.0 !=1.5.0", "1.4.0", "1.5.0"),
            ("1.0 - 2.0", "1.0.0 2.0.9", "2.1.0 0.9.0"),
            ("1.2.3 - 2.3.4", "1.2.3 2.3.4", "2.3.5"),
            ("<1.0.0 || >=2.0.0", "0.9.0 2.0.0", "1.5.0"),
            (">=1.0.0-0", "1.0.0-rc.1 1.0.0 2.0.0-alpha", "0.9.0"),
            (">=1.0.0-0 <2.0.0-0", "1.0.0-rc.1 1.9.0", "2.0.0-rc.1 2.0.0"),
            ("1.0.0-rc.1", "1.0.0-rc.1", "1.0.0-rc.2 1.0.0"),
            ("~1.2.3-beta", "1.2.3-beta 1.2.3", "1.3.0-alpha 1.3.0"),
        ];
        for (range, inside, outside) in cases {
            let parsed = Range::parse(range).unwrap();
            for version in inside.split(' ') {
                assert!(parsed.contains(&Version::parse(version).unwrap()), "{range} holds {version}");
            }
            for version in outside.split(' ') {
                assert!(
                    !parsed.contains(&Version::parse(version).unwrap()),
                    "{range} does not hold {version}"
                );
            }
        }
    }

    #[test]
    fn what_is_not_a_range_is_refused_by_name() {
        for text in [
            "",
            "latest",
            ">=",
            "1.2.3.4",
            "1.x.2",
            ">*",
            "a || b",
            "|| 1",
            "1.2-rc",
            "- 2",
            "99999999999999999999",
        ] {
            let error = Range::parse(text).unwrap_err();
            assert!(error.contains(&format!("'{text}'")), "{error}");
        }
    }

    #[test]
    fn tags_name_versions_with_or_without_a_v() {
        assert_eq!(of_tag("v1.2.3"), of_tag("1.2.3"));
        for tag in ["1.2", "release-1.2.3", "vv1.2.3", "v1", ""] {
            assert_eq!(of_tag(tag), None, "{tag}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[-0-9.xX*<>=!~^|, va+]{0,30}") {
            if let Ok(range) = Range::parse(&text) {
                range.contains(&Version::new(1, 2, 3));
            }
        }
    }
}
