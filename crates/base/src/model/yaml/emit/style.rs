//! Chooses the style in which a string is printed, from libyaml's analysis of its characters and from the
//! meaning that the text would have without quotes.

use crate::model::yaml::document::Dialect;
use crate::model::yaml::scalar::is_text;

/// The rules by which a printer quotes strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Words {
    /// The quotes of go-yaml v2: around texts that it would not read back as strings.
    V2,
    /// The quotes of go-yaml v3.
    V3,
    /// The quotes that all readers of YAML 1.1 and 1.2 need: around texts that any of them would not read
    /// back as strings.
    Any,
}

/// The style of a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EmitStyle {
    Plain,
    Single,
    Double,
    Literal,
}

/// Whether go-yaml v3 by default prints a string in quotes or as a block, as kyaml does.
pub fn is_usually_quoted(text: &str) -> bool {
    of(text, Words::V3, false) != EmitStyle::Plain
}

/// Whether a string that was read without quotes gets quotes.
pub(in crate::model::yaml) fn is_quoted_when_plain(text: &str) -> bool {
    let is_marker = text.starts_with("---") || text.starts_with("...");
    let is_simple = !is_marker && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if is_simple { Words::V3.take_for_other(text) } else { is_usually_quoted(text) }
}

/// The style of a string that is a key before a colon or stands elsewhere in a block.
pub(super) fn of(text: &str, words: Words, is_simple_key: bool) -> EmitStyle {
    if is_phrase(text) {
        return if words.take_for_other(text) { EmitStyle::Double } else { EmitStyle::Plain };
    }
    if !is_simple_key && is_prose(text) {
        return EmitStyle::Literal;
    }
    // Most texts are ASCII, and an analysis of their bytes is faster.
    let analysis = if text.is_ascii() {
        Analysis::of(text, text.bytes().map(char::from), words)
    } else {
        Analysis::of(text, text.chars(), words)
    };
    if analysis.line_feeds {
        if analysis.fits_block && !is_simple_key { EmitStyle::Literal } else { EmitStyle::Double }
    } else if words.take_for_other(text) {
        EmitStyle::Double
    } else if analysis.fits_plain {
        EmitStyle::Plain
    } else if analysis.fits_single {
        EmitStyle::Single
    } else {
        EmitStyle::Double
    }
}

/// Whether a text is of the most frequent kind, in which no sign has a special meaning: names, kinds,
/// versions, paths, and most sentences.
fn is_phrase(text: &str) -> bool {
    let is_plain = |b: &u8| matches!(b, b' '..=b'~') && !matches!(b, b':' | b'#');
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !text.ends_with(' ')
        // Checking all bytes of a chunk takes less time than stopping at the first.
        && text.as_bytes().chunks(32).all(|some| some.iter().fold(true, |all, b| all & is_plain(b)))
}

/// Whether a text has several lines in which no sign has a special meaning.
fn is_prose(text: &str) -> bool {
    text.contains('\n')
        && !text.ends_with(' ')
        && text
            .as_bytes()
            .chunks(32)
            .all(|some| some.iter().fold(true, |all, byte| all & matches!(byte, b'\n' | b' '..=b'~')))
        && !text.contains(" \n")
}

impl Words {
    /// Whether a text without quotes is taken for another type than a string.
    fn take_for_other(self, text: &str) -> bool {
        match self {
            // Both libraries recognise a merge key by its place.
            Self::V2 | Self::V3 if text == "<<" => false,
            Self::V2 => !is_text(Dialect::V2, text) || is_base_60(text),
            Self::V3 => {
                // v2 itself reads the words of YAML 1.1 for true and false as such.
                !is_text(Dialect::V3, text) || is_base_60(text) || !is_text(Dialect::V2, text)
            }
            Self::Any => {
                // Sexagesimal numbers and further forms of YAML 1.1 and 1.2 begin as numbers do.
                let begins =
                    text.trim_start_matches(['+', '-', '.']).starts_with(|c: char| c.is_ascii_digit());
                let is_numeric = |c: char| {
                    c.is_ascii_hexdigit() || matches!(c, '+' | '-' | '.' | ':' | '_' | 'x' | 'X' | 'o')
                };
                text == "="
                    || (begins && text.chars().all(is_numeric))
                    || !is_text(Dialect::V2, text)
                    || !is_text(Dialect::V3, text)
            }
        }
    }
}

/// `[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?`, a number in base 60, which Go's libraries quote and do not
/// read.
fn is_base_60(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    // Most texts end here.
    if !unsigned.starts_with(|c: char| c.is_ascii_digit()) {
        return false;
    }
    let Some((whole, rest)) = unsigned.split_once(':') else { return false };
    let is_digit = |b: u8| b.is_ascii_digit() || b == b'_';
    if !whole.bytes().all(is_digit) {
        return false;
    }
    let (places, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    let is_place = |place: &str| match place.as_bytes() {
        [one] => one.is_ascii_digit(),
        [ten, one] => matches!(ten, b'0'..=b'5') && one.is_ascii_digit(),
        _ => false,
    };
    places.split(':').all(is_place) && fraction.bytes().all(is_digit)
}

/// The result of libyaml's analysis of a string, for a value outside of flow collections.
struct Analysis {
    line_feeds: bool,
    fits_plain: bool,
    fits_single: bool,
    fits_block: bool,
}

impl Analysis {
    fn of(text: &str, chars: impl Iterator<Item = char>, words: Words) -> Self {
        let is_blank = |c: char| matches!(c, ' ' | '\t');
        let mut indicators = text.starts_with("---") || text.starts_with("...");
        let (mut special, mut tabs, mut line_feeds, mut breaks) = (false, false, false, false);
        let (mut space_then_break, mut break_then_space) = (false, false);
        let mut previous: Option<char> = None;
        let mut chars = chars.peekable();
        while let Some(c) = chars.next() {
            // Most signs are letters, which have no special meaning.
            if c.is_ascii_alphanumeric() {
                previous = Some(c);
                continue;
            }
            let mut before_blank = || chars.peek().is_none_or(|next| is_blank(*next));
            indicators |= match c {
                '#' => previous.is_none_or(|c| is_blank(c) || is_break(c) || c == '\0'),
                ':' => before_blank(),
                '?' | '-' => previous.is_none() && before_blank(),
                ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => {
                    previous.is_none()
                }
                _ => false,
            };
            // Only go-yaml v3 writes tabs in block scalars.
            if c == '\t' && words == Words::V3 {
                tabs = true;
            } else if c != '\n' {
                // Some readers take the rarer line breaks for line breaks and some do not.
                special |= !is_printable(c) || (words == Words::Any && is_break(c));
            }
            line_feeds |= c == '\n';
            breaks |= is_break(c);
            break_then_space |= c == ' ' && previous.is_some_and(is_break);
            space_then_break |= is_break(c) && previous == Some(' ');
            previous = Some(c);
        }
        let at_edge = |c: char| c == ' ' || is_break(c);
        let edges = text.starts_with(at_edge) || text.ends_with(at_edge);
        let in_block = !space_then_break && !special;
        let quotable = in_block && !tabs;
        Self {
            line_feeds,
            fits_plain: quotable && !edges && !break_then_space && !breaks && !indicators,
            fits_single: quotable && !break_then_space,
            fits_block: in_block && previous != Some(' '),
        }
    }
}

/// Whether libyaml takes a character for the end of a line.
pub(super) fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Whether libyaml's emitter prints a character as it is. It does not for characters beyond four hexadecimal
/// digits.
fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}') && c != '\u{feff}'
}

/// Whether a character is escaped in double quotes.
pub(super) fn is_escaped(c: char) -> bool {
    !is_printable(c) || is_break(c) || matches!(c, '"' | '\\')
}

/// Writes the escape of a character for double quotes.
pub(super) fn escape(c: char, put: &mut dyn FnMut(char)) {
    put('\\');
    let short = match c {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '"' | '\\' => c,
        '\u{85}' => 'N',
        '\u{a0}' => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        _ => {
            let code = u32::from(c);
            let (mark, digits) = match code {
                0..=0xff => ('x', format!("{code:02X}")),
                0x100..=0xffff => ('u', format!("{code:04X}")),
                _ => ('U', format!("{code:08X}")),
            };
            put(mark);
            digits.chars().for_each(put);
            return;
        }
    };
    put(short);
}
