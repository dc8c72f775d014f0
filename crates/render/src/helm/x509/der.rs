//! ASN.1 in DER: writing values, and reading those of keys and certificates.

/// A value with its tag and length.
pub fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match content.len() {
        short @ 0..0x80 => out.extend(u8::try_from(short)),
        long => {
            let bytes = long.to_be_bytes();
            let digits = &bytes[bytes.iter().position(|byte| *byte != 0).unwrap_or_default()..];
            out.push(0x80 | u8::try_from(digits.len()).unwrap_or_default());
            out.extend_from_slice(digits);
        }
    }
    out.extend_from_slice(content);
    out
}

/// A `SEQUENCE`.
pub fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    value(0x30, &parts.concat())
}

/// An `INTEGER` that is not negative, from its bytes.
pub fn integer(bytes: &[u8]) -> Vec<u8> {
    let digits = &bytes[bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len())..];
    // A leading one bit would make it negative.
    let needs_zero = digits.first().is_none_or(|first| first & 0x80 != 0);
    value(0x02, &[if needs_zero { &[0][..] } else { &[] }, digits].concat())
}

/// A `BIT STRING` of whole bytes.
pub fn bits(bytes: &[u8]) -> Vec<u8> {
    value(0x03, &[&[0], bytes].concat())
}

/// An `OCTET STRING`.
pub fn octets(bytes: &[u8]) -> Vec<u8> {
    value(0x04, bytes)
}

/// An `OBJECT IDENTIFIER`, from its content.
pub fn oid(content: &[u8]) -> Vec<u8> {
    value(0x06, content)
}

/// `NULL`
pub fn null() -> Vec<u8> {
    value(0x05, &[])
}

/// A parsed value.
#[derive(Debug, Clone, Copy)]
pub struct Element<'d> {
    /// Its tag.
    pub tag: u8,
    /// Its content.
    pub content: &'d [u8],
    /// Its bytes with tag and length.
    pub whole: &'d [u8],
}

/// Reads one value after the other.
#[derive(Debug, Clone, Copy)]
pub struct DerReader<'d>(pub &'d [u8]);

impl<'d> DerReader<'d> {
    /// The next value of any type.
    pub fn any(&mut self) -> Option<Element<'d>> {
        let data = self.0;
        let tag = *data.first()?;
        let first = *data.get(1)?;
        let (length, start) = if first < 0x80 {
            (usize::from(first), 2)
        } else {
            let digits = usize::from(first & 0x7f);
            let bytes = data.get(2..2 + digits).filter(|bytes| (1..=4).contains(&bytes.len()))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), 2 + digits)
        };
        let content = data.get(start..start.checked_add(length)?)?;
        let whole = &data[..start + length];
        self.0 = &data[start + length..];
        Some(Element { tag, content, whole })
    }

    /// The next value, if it has this tag. Otherwise nothing is read.
    pub fn take(&mut self, tag: u8) -> Option<Element<'d>> {
        let before = self.0;
        let element = self.any().filter(|element| element.tag == tag);
        if element.is_none() {
            self.0 = before;
        }
        element
    }

    /// A reader of the `SEQUENCE` that comes next.
    pub fn sequence(&mut self) -> Option<Self> {
        self.take(0x30).map(|element| Self(element.content))
    }
}
