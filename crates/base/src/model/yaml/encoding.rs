//! The text of a YAML file: UTF-8, or UTF-16 with a byte order mark, which PowerShell writes and Go's readers
//! take.

use std::borrow::Cow;

/// Why bytes are not the text of a YAML file. Each message is a fragment that continues the file's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodingError {
    /// Neither UTF-8 nor UTF-16 with a byte order mark.
    #[error("is not UTF-8 text")]
    NotText,
    /// Several documents in UTF-16. Go's tools split documents before they decode a text, and so see only the
    /// first.
    #[error(
        "is UTF-16 text with several documents, and kustomize and kubectl read only the first of them; save \
         it as UTF-8"
    )]
    SeveralDocuments,
}

/// The text of a file that is read as YAML.
pub fn decoded(bytes: &[u8]) -> Result<Cow<'_, str>, EncodingError> {
    let unit: fn([u8; 2]) -> u16 = match bytes {
        [0xff, 0xfe, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] => u16::from_be_bytes,
        _ => return std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| EncodingError::NotText),
    };
    let (pairs, []) = bytes.as_chunks() else { return Err(EncodingError::NotText) };
    let decoded: Result<String, _> = char::decode_utf16(pairs.iter().copied().map(unit)).collect();
    let text = decoded.map_err(|_| EncodingError::NotText)?;
    if holds_several(&text) { Err(EncodingError::SeveralDocuments) } else { Ok(Cow::Owned(text)) }
}

/// Whether there is text behind the end of the first document.
fn holds_several(text: &str) -> bool {
    let (mut begun, mut ended) = (false, false);
    for line in text.trim_start_matches('\u{feff}').lines() {
        let is_marker = ["---", "..."].iter().any(|marker| line.starts_with(marker));
        let has_content = !is_marker && !line.trim().is_empty() && !line.starts_with(['#', '%']);
        ended |= is_marker && begun;
        if ended && has_content {
            return true;
        }
        begun |= is_marker || has_content;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn both_byte_orders_are_read() {
        let text = "\u{feff}# c\r\n---\r\na: \"é\u{1f600}\"\r\n---\r\n# the end\r\n";
        assert_eq!(decoded(text.as_bytes()), Ok(text.into()));
        assert_eq!(decoded(&utf16(text, u16::to_le_bytes)), Ok(text.into()));
        assert_eq!(decoded(&utf16(text, u16::to_be_bytes)), Ok(text.into()));
    }

    #[test]
    fn what_is_no_text_is_refused() {
        let whole = utf16("\u{feff}a: b", u16::to_le_bytes);
        let odd = &whole[..whole.len() - 1];
        let lone = [&whole[..], &0xd800_u16.to_le_bytes()].concat();
        for bytes in [odd, &lone, b"\xffa"] {
            assert_eq!(decoded(bytes), Err(EncodingError::NotText));
        }
    }

    #[test]
    fn documents_that_would_be_dropped_in_silence_are_refused() {
        for (text, several) in [
            ("\u{feff}a: b\n---\nc: d\n", true),
            ("\u{feff}---\n---\nc: d\n", true),
            ("\u{feff}a: b\n...\nc: d\n", true),
            ("\u{feff}a: |\n  ---\n  b\n", false),
        ] {
            let refused = decoded(&utf16(text, u16::to_be_bytes)) == Err(EncodingError::SeveralDocuments);
            assert_eq!(refused, several, "{text:?}");
        }
    }
}
