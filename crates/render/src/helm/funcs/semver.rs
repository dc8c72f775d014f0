//! Semantic versions: `semverCompare`, and `semver` with the fields and methods of its result.

use std::any::Any;

use lockgate_base::model::version::{Range, Version, VersionError};

use crate::helm::error::Error;
use crate::helm::function::Function;
use crate::helm::go::quote::quote;
use crate::helm::value::{Allowance, Args, Signature, Type as T};
use crate::helm::value::{GoKind, GoObject, Str, Value};

type Result = std::result::Result<Value, Error>;

pub(super) const TABLE: &[Function] = &[
    Function::new("semver", &[T::String], |_, a| {
        Ok(Value::object(Semver { version: parsed(&a.str(0))?, is_pointer: true }))
    }),
    Function::new("semverCompare", &[T::String, T::String], |_, a| {
        let range = Range::parse(&text(&a.str(0))).map_err(|error| match error {
            VersionError::Improper(part) => improper(a.bytes(0), &part),
            other @ VersionError::Other(_) => told(&other),
        })?;
        Ok(range.contains(&parsed(&a.str(1))?).into())
    }),
];

fn told(error: &VersionError) -> Error {
    Error::new(error.to_string())
}

/// Go's message about a part of a range, which it quotes byte by byte.
fn improper(range: &[u8], part: &str) -> Error {
    let text = String::from_utf8_lossy(range);
    let at = text.split("||").position(|known| known == part);
    let separators: Vec<usize> = memchr::memmem::find_iter(range, b"||").collect();
    let original = at.map(|at| {
        let start = at.checked_sub(1).and_then(|at| separators.get(at)).map_or(0, |at| at + 2);
        &range[start..separators.get(at).copied().unwrap_or(range.len())]
    });
    let quoted = quote(original.unwrap_or(part.as_bytes()), false);
    Error::new(format!("improper constraint: {}", String::from_utf8_lossy(&quoted)))
}

/// Bytes as a text: bytes that are no UTF-8 make no valid version.
fn text(bytes: &Str) -> String {
    bytes.lossy().into_owned()
}

fn parsed(bytes: &Str) -> std::result::Result<Version, Error> {
    Version::parse(&text(bytes)).map_err(|error| told(&error))
}

/// A `*semver.Version`, or the struct behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Semver {
    version: Version,
    is_pointer: bool,
}

const NONE: Signature = Signature { fixed: &[], rest: None };
const ONE: Signature = Signature { fixed: &[T::Object("*semver.Version")], rest: None };

impl Semver {
    fn number(&self, name: &str) -> Value {
        Value::Uint64(match name {
            "Major" => self.version.major,
            "Minor" => self.version.minor,
            _ => self.version.patch,
        })
    }

    /// `IncMajor`, `IncMinor` and `IncPatch`, which return no pointer.
    fn raised(&self, name: &str) -> Result {
        let mut next = self.version.clone();
        let part = match name {
            "IncMajor" => {
                (next.minor, next.patch) = (0, 0);
                Some(("major", &mut next.major))
            }
            "IncMinor" => {
                next.patch = 0;
                Some(("minor", &mut next.minor))
            }
            // A pre-release comes before the release of the same number.
            _ if self.version.is_prerelease() => None,
            _ => Some(("patch", &mut next.patch)),
        };
        if let Some((name, number)) = part {
            let overflow = || Error::new(format!("{name} version increment would overflow uint64"));
            *number = number.checked_add(1).ok_or_else(overflow)?;
        }
        (next.pre, next.metadata) = (String::new(), String::new());
        let prefix = if self.version.original.starts_with('v') { "v" } else { "" };
        next.original = format!("{prefix}{next}");
        Ok(Value::object(Self { version: next, is_pointer: false }))
    }
}

impl GoObject for Semver {
    fn type_name(&self) -> &'static str {
        if self.is_pointer { "*semver.Version" } else { "semver.Version" }
    }

    fn kind(&self) -> GoKind {
        if self.is_pointer { GoKind::Ptr } else { GoKind::Struct }
    }

    fn text(&self) -> Option<Vec<u8>> {
        Some(self.version.to_string().into_bytes())
    }

    fn shown(&self) -> Vec<(&'static str, Value)> {
        let version = &self.version;
        vec![
            ("major", Value::Uint64(version.major)),
            ("minor", Value::Uint64(version.minor)),
            ("patch", Value::Uint64(version.patch)),
            ("pre", version.pre.as_str().into()),
            ("metadata", version.metadata.as_str().into()),
            ("original", version.original.as_str().into()),
        ]
    }

    fn json(&self) -> Option<Value> {
        Some(self.version.to_string().into())
    }

    fn method(&self, name: &str) -> Option<Signature> {
        match name {
            "Major" | "Minor" | "Patch" | "Prerelease" | "Metadata" | "String" | "IncMajor" | "IncMinor"
            | "IncPatch" => Some(NONE),
            "Original" => self.is_pointer.then_some(NONE),
            "Compare" | "Equal" | "LessThan" | "LessThanEqual" | "GreaterThan" | "GreaterThanEqual" => {
                self.is_pointer.then_some(ONE)
            }
            _ => None,
        }
    }

    fn call(&self, name: &str, a: Args<'_>, _: &mut dyn Allowance) -> Result {
        let version = &self.version;
        let order =
            a.object::<Self>(0).map_or(std::cmp::Ordering::Equal, |other| version.compare(&other.version));
        Ok(match name {
            "Major" | "Minor" | "Patch" => self.number(name),
            "Prerelease" => version.pre.as_str().into(),
            "Metadata" => version.metadata.as_str().into(),
            "String" => version.to_string().into(),
            "Original" => version.original.as_str().into(),
            "IncMajor" | "IncMinor" | "IncPatch" => return self.raised(name),
            "Compare" => Value::Int(order as i64),
            "Equal" => order.is_eq().into(),
            "LessThan" => order.is_lt().into(),
            "LessThanEqual" => order.is_le().into(),
            "GreaterThan" => order.is_gt().into(),
            "GreaterThanEqual" => order.is_ge().into(),
            _ => return Err(Error::new(format!("{} has no method {name}", self.type_name()))),
        })
    }

    fn copied(&self) -> Option<Value> {
        // All fields are private, so the copy has none of them.
        Some(Value::object(Self { version: Version::default(), is_pointer: self.is_pointer }))
    }

    fn equals(&self, other: &dyn GoObject) -> bool {
        other.as_any().downcast_ref::<Self>() == Some(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
