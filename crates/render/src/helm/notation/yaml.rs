//! `toYaml`: what sigs.k8s.io/yaml writes, which is JSON read by goyaml.v2 and written again.

use std::borrow::Cow;

use super::json::{length_in_json, unsupported};
use super::scalar::{Style, analyze, asked_style, is_break, is_printable, select};
use super::sort::sort_entries;
use crate::helm::context::{Context, STRING_LIMIT};
use crate::helm::error::Error;
use crate::helm::go::number::{FloatForm, format_float, json_float};
use crate::helm::go::unicode;
use crate::helm::value::{DEPTH, Object, Value, too_deep};

/// Where plain and quoted texts are folded.
const WIDTH: usize = 80;
/// The longest key that goyaml's reader finds the colon of.
const LONGEST_KEY: usize = 1024;
/// The longest key, in bytes, that is written without a question mark.
const SIMPLE_KEY: usize = 128;

/// A value as YAML. Fails for what JSON has no form for, for texts that goyaml does not read, and where a bound is
/// reached.
pub fn encode(context: &mut Context<'_>, value: &Value) -> Result<Vec<u8>, Error> {
    let mut printer = Printer {
        context,
        out: String::new(),
        column: 0,
        indent: None,
        whitespace: true,
        indention: true,
        granted: 0,
    };
    printer.node(value, Place::Root, 0)?;
    printer.indent = Some(0);
    if printer.column > 0 {
        printer.line_break();
    }
    Ok(printer.out.into_bytes())
}

/// Where a node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Item,
    SimpleKey,
    /// A key after a question mark, or a value.
    Mapping,
}

/// goyaml's emitter, as far as block style goes.
struct Printer<'c, 'i> {
    context: &'c mut Context<'i>,
    out: String,
    column: usize,
    indent: Option<usize>,
    /// Whether the last character was a space, or an indicator after which none is needed.
    whitespace: bool,
    /// Whether nothing but indentation and indicators stand on the line.
    indention: bool,
    granted: usize,
}

impl Printer<'_, '_> {
    fn ask(&mut self, bytes: usize) -> Result<(), Error> {
        self.context.spend(1)?;
        let needed = self.out.len().saturating_add(bytes).saturating_add(self.indent.unwrap_or_default());
        if needed > self.granted {
            let room = (needed * 2).min(STRING_LIMIT).max(needed);
            self.context.room(room)?;
            self.granted = room;
        }
        Ok(())
    }

    fn put(&mut self, c: char) {
        self.out.push(c);
        self.column += 1;
    }

    fn line_break(&mut self) {
        self.out.push('\n');
        self.column = 0;
    }

    /// A break of the text itself.
    fn write_break(&mut self, c: char) {
        self.out.push(c);
        self.column = 0;
    }

    fn write_indent(&mut self) {
        let indent = self.indent.unwrap_or_default();
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.line_break();
        }
        while self.column < indent {
            self.put(' ');
        }
        self.whitespace = true;
        self.indention = true;
    }

    fn indicator(&mut self, text: &str, needs_space: bool, is_whitespace: bool, is_indention: bool) {
        if needs_space && !self.whitespace {
            self.put(' ');
        }
        for c in text.chars() {
            self.put(c);
        }
        self.whitespace = is_whitespace;
        self.indention &= is_indention;
    }

    fn node(&mut self, value: &Value, place: Place, depth: usize) -> Result<(), Error> {
        if depth > DEPTH {
            return Err(too_deep());
        }
        self.ask(64)?;
        match value {
            Value::Nil => self.plain("null", place),
            Value::Bool(value) => self.plain(&value.to_string(), place),
            Value::Int(number) | Value::Int64(number) => self.plain(&number.to_string(), place),
            Value::Uint8(number) => self.plain(&number.to_string(), place),
            Value::Uint64(number) => self.plain(&number.to_string(), place),
            Value::Float(number) => {
                let text = json_float(*number).ok_or_else(|| in_json(&unsupported(*number)))?;
                self.plain(&number_text(&text, *number), place);
            }
            Value::Complex(_) => return Err(in_json("json: unsupported type: complex128")),
            Value::Str(text) => self.string(&read_back(text)?, place)?,
            Value::Bytes(bytes) => {
                use base64::Engine as _;
                self.ask(bytes.len().saturating_mul(2))?;
                self.string(&base64::engine::general_purpose::STANDARD.encode(bytes), place)?;
            }
            Value::List(list) if list.is_nil() => self.plain("null", place),
            Value::List(list) => self.sequence(list.items(), place, depth)?,
            Value::Map(map) if map.is_nil() => self.plain("null", place),
            Value::Map(map) => {
                self.context.room_for_items(map.len().saturating_mul(4))?;
                let entries: Result<Vec<(String, Value)>, Error> =
                    map.entries().into_iter().map(|(key, value)| Ok((read_back_key(&key)?, value))).collect();
                self.mapping(entries?, depth)?;
            }
            Value::Object(object) => self.object(object.as_ref(), place, depth)?,
        }
        Ok(())
    }

    fn object(&mut self, object: &dyn Object, place: Place, depth: usize) -> Result<(), Error> {
        if let Some(value) = object.json() {
            return self.node(&value, place, depth + 1);
        }
        if let Some(number) = object.number() {
            self.plain(&number.to_string(), place);
            return Ok(());
        }
        self.mapping(
            object.fields().into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            depth,
        )
    }

    fn sequence(&mut self, items: &[Value], place: Place, depth: usize) -> Result<(), Error> {
        if items.is_empty() {
            self.indicator("[", true, true, false);
            self.indicator("]", false, false, false);
            return Ok(());
        }
        let before = self.indent;
        let stays = place == Place::Mapping && !self.indention;
        self.indent = Some(before.map_or(0, |indent| if stays { indent } else { indent + 2 }));
        for item in items {
            self.ask(4)?;
            self.write_indent();
            self.indicator("-", true, false, true);
            self.node(item, Place::Item, depth + 1)?;
        }
        self.indent = before;
        Ok(())
    }

    fn mapping(&mut self, entries: Vec<(String, Value)>, depth: usize) -> Result<(), Error> {
        if entries.is_empty() {
            self.indicator("{", true, true, false);
            self.indicator("}", false, false, false);
            return Ok(());
        }
        let before = self.indent;
        self.indent = Some(before.map_or(0, |indent| indent + 2));
        for (key, value) in sort_entries(entries) {
            self.ask(4)?;
            self.write_indent();
            if !analyze(&key).multiline && key.len() <= SIMPLE_KEY {
                self.string(&key, Place::SimpleKey)?;
                self.indicator(":", false, false, false);
            } else {
                self.indicator("?", true, false, true);
                self.string(&key, Place::Mapping)?;
                self.write_indent();
                self.indicator(":", true, false, true);
            }
            self.node(&value, Place::Mapping, depth + 1)?;
        }
        self.indent = before;
        Ok(())
    }

    fn string(&mut self, text: &str, place: Place) -> Result<(), Error> {
        let lines = text.matches('\n').count() + text.len() / WIDTH + 2;
        let indents = lines.saturating_mul(self.indent.unwrap_or_default() + 2);
        self.ask(text.len().saturating_mul(4).saturating_add(indents))?;
        let is_simple_key = place == Place::SimpleKey;
        let style = select(asked_style(text), text, analyze(text), is_simple_key);
        let before = self.indent;
        self.indent = Some(before.unwrap_or_default() + 2);
        match style {
            Style::Plain => self.plain(text, place),
            Style::SingleQuoted => self.single_quoted(text, !is_simple_key),
            Style::DoubleQuoted => self.double_quoted(text, !is_simple_key),
            Style::Literal => self.literal(text),
        }
        self.indent = before;
        Ok(())
    }

    fn plain(&mut self, text: &str, place: Place) {
        if !self.whitespace {
            self.put(' ');
        }
        let mut after_space = false;
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let folds = place != Place::SimpleKey && !after_space && self.column > WIDTH;
            if c == ' ' && folds && chars.peek() != Some(&' ') {
                self.write_indent();
            } else {
                self.put(c);
            }
            after_space = c == ' ';
            if c != ' ' {
                self.indention = false;
            }
        }
        self.whitespace = false;
        self.indention = false;
    }

    fn single_quoted(&mut self, text: &str, folds: bool) {
        self.indicator("'", true, false, false);
        let (mut after_space, mut after_break, mut is_first) = (false, false, true);
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let is_last = chars.peek().is_none();
            if c == ' ' {
                let fits = folds && !after_space && self.column > WIDTH && !is_first && !is_last;
                if fits && chars.peek() != Some(&' ') {
                    self.write_indent();
                } else {
                    self.put(c);
                }
                after_space = true;
            } else if is_break(c) {
                if !after_break && c == '\n' {
                    self.line_break();
                }
                self.write_break(c);
                self.indention = true;
                after_break = true;
            } else {
                if after_break {
                    self.write_indent();
                }
                if c == '\'' {
                    self.put('\'');
                }
                self.put(c);
                self.indention = false;
                (after_space, after_break) = (false, false);
            }
            is_first = false;
        }
        self.indicator("'", false, false, false);
        self.whitespace = false;
        self.indention = false;
    }

    fn double_quoted(&mut self, text: &str, folds: bool) {
        // goyaml looks for a byte order mark at the start of the text wherever it stands in it.
        let escapes_all = text.starts_with('\u{feff}');
        self.indicator("\"", true, false, false);
        let (mut after_space, mut is_first) = (false, true);
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            if escapes_all || !is_printable(c) || is_break(c) || c == '"' || c == '\\' {
                for c in escape(c).chars() {
                    self.put(c);
                }
                after_space = false;
            } else if c == ' ' {
                let is_last = chars.peek().is_none();
                if folds && !after_space && self.column > WIDTH && !is_first && !is_last {
                    self.write_indent();
                    if chars.peek() == Some(&' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(c);
                }
                after_space = true;
            } else {
                self.put(c);
                after_space = false;
            }
            is_first = false;
        }
        self.indicator("\"", false, false, false);
        self.whitespace = false;
        self.indention = false;
    }

    fn literal(&mut self, text: &str) {
        self.indicator("|", true, false, false);
        if text.starts_with(|c| c == ' ' || is_break(c)) {
            self.indicator("2", false, false, false);
        }
        let mut ends = text.chars().rev();
        let chomp = match (ends.next().is_some_and(is_break), ends.next()) {
            (false, _) => "-",
            (true, None) => "+",
            (true, Some(c)) if is_break(c) => "+",
            (true, Some(_)) => "",
        };
        self.indicator(chomp, false, false, false);
        self.line_break();
        self.indention = true;
        self.whitespace = true;
        let mut after_break = true;
        for c in text.chars() {
            if is_break(c) {
                self.write_break(c);
                self.indention = true;
                after_break = true;
            } else {
                if after_break {
                    self.write_indent();
                }
                self.put(c);
                self.indention = false;
                after_break = false;
            }
        }
    }
}

/// What sigs.k8s.io/yaml says about a failure of its first step.
fn in_json(message: &str) -> Error {
    Error::new(format!("error marshaling into JSON: {message}"))
}

/// A float as goyaml writes it after reading what JSON wrote: a number without fraction is a whole number again, unless
/// it fits no type.
fn number_text(json: &str, number: f64) -> String {
    let is_whole = !json.contains(['.', 'e']);
    if is_whole && let Ok(whole) = json.parse::<i64>() {
        return whole.to_string();
    }
    if is_whole && json.parse::<u64>().is_ok() {
        return json.to_owned();
    }
    format_float(number, FloatForm::General, None)
}

fn escape(c: char) -> String {
    let code = u32::from(c);
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
        '"' => '"',
        '\\' => '\\',
        '\u{85}' => 'N',
        '\u{a0}' => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        _ if code <= 0xff => return format!("\\x{code:02X}"),
        _ if code <= 0xffff => return format!("\\u{code:04X}"),
        _ => return format!("\\U{code:08X}"),
    };
    format!("\\{short}")
}

/// A text after JSON and goyaml's reader, which refuses control characters and folds lines at U+0085.
fn read_back(text: &[u8]) -> Result<Cow<'_, str>, Error> {
    let text = match std::str::from_utf8(text) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(unicode::chars(text).collect()),
    };
    let is_refused =
        |c: char| matches!(c, '\u{7f}'..='\u{84}' | '\u{86}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}');
    if !text.is_ascii() || text.contains('\u{7f}') {
        if text.contains(is_refused) {
            return Err(Error::new("yaml: control characters are not allowed"));
        }
        if text.contains('\u{85}') {
            return Ok(Cow::Owned(folded(&text)));
        }
    }
    Ok(text)
}

/// One line end becomes a space, several become one less; spaces around them go.
fn folded(text: &str) -> String {
    let mut lines = text.split('\u{85}').peekable();
    let mut out = lines.next().unwrap_or_default().to_owned();
    let mut breaks = 0;
    while let Some(line) = lines.next() {
        let kept = out.trim_end_matches(' ').len();
        if breaks == 0 {
            out.truncate(kept);
        }
        breaks += 1;
        let line = line.trim_start_matches(' ');
        if line.is_empty() && lines.peek().is_some() {
            continue;
        }
        out.push_str(&if breaks == 1 { " ".to_owned() } else { "\n".repeat(breaks - 1) });
        breaks = 0;
        out.push_str(line);
    }
    out
}

/// A key, which must stand on one line and be short.
fn read_back_key(key: &[u8]) -> Result<String, Error> {
    let text = read_back(key)?;
    let is_long = text.len() * 6 > LONGEST_KEY && length_in_json(&text) > LONGEST_KEY;
    if is_long || unicode::chars(key).any(|c| c == '\u{85}') {
        return Err(Error::new("yaml: did not find expected ',' or '}'"));
    }
    Ok(text.into_owned())
}
