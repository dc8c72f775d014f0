//! PEM as Go's `encoding/pem` writes and reads it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The content of a block, and the label in its first and last line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Such as `CERTIFICATE`.
    pub label: String,
    /// The content, decoded.
    pub data: Vec<u8>,
}

/// A block of PEM with lines of 64 characters.
pub fn encode(label: &str, data: &[u8]) -> String {
    let text = STANDARD.encode(data);
    let mut out = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        out.push_str(&String::from_utf8_lossy(line));
        out.push('\n');
    }
    out + &format!("-----END {label}-----\n")
}

/// The first block of a text. Text before it and headers are skipped.
pub fn decode(text: &[u8]) -> Option<Block> {
    let text = String::from_utf8_lossy(text);
    let mut rest: &str = &text;
    loop {
        let start = if rest.starts_with("-----BEGIN ") { 0 } else { rest.find("\n-----BEGIN ")? + 1 };
        rest = &rest[start + "-----BEGIN ".len()..];
        let (line, body) = rest.split_once('\n')?;
        let Some(label) = line.trim_end().strip_suffix("-----") else { continue };
        let end = format!("-----END {label}-----");
        let Some(at) = body.find(&end) else { continue };
        let content: String = body[..at].lines().filter(|line| !line.contains(':')).collect();
        let content: String = content.split_whitespace().collect();
        if let Ok(data) = STANDARD.decode(content) {
            return Some(Block { label: label.to_owned(), data });
        }
    }
}
