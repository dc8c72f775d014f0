//! `fromToml`: TOML as maps and lists of Go, with the words in which its library says that a text is none.

mod cursor;
mod tables;
mod scalars;
mod token;

use self::cursor::{TomlCursor, TomlFault, is_blank, is_line_end, shown};
use self::scalars::in_quotes;
use self::tables::{TomlNode, TomlTable, TomlTables};
use self::token::{TomlToken, TomlTokenKind};
use crate::helm::context::RenderContext;
use crate::helm::error::Error;
use crate::helm::go::time::Time;
use crate::helm::value::{DEPTH, List, ListType, Map, MapType, Value, too_deep};

/// How a time becomes a value.
pub type MakeTime = fn(Time) -> Value;

/// Reads a document, and says why it is none.
pub fn decode(
    context: &mut RenderContext<'_>,
    text: &[u8],
    time: MakeTime,
) -> Result<(Map, Option<String>), Error> {
    context.spend(text.len() / 8)?;
    context.memory(text.len().saturating_mul(8))?;
    let text = without_mark(text);
    if text[..text.len().min(6)].contains(&0) {
        let message =
            "toml: line 1: files cannot contain NULL bytes; probably using UTF-16; TOML files must be UTF-8";
        return Ok((Map::new(MapType::Any), Some(message.into())));
    }
    let cursor = TomlCursor::new(text);
    let mut reader = Reader {
        context,
        cursor,
        tables: TomlTables::default(),
        key: String::new(),
        key_line: 0,
        worked: 0,
        time,
    };
    match reader.document() {
        Ok(()) => {
            let root = reader.tables.into_root();
            Ok((map_of(context, root)?, None))
        }
        Err(Stop::Told(message)) => Ok((Map::new(MapType::Any), Some(message))),
        Err(Stop::Bound(error)) => Err(error),
    }
}

/// A text without the mark that says in which order its bytes stand.
fn without_mark(text: &[u8]) -> &[u8] {
    let marks: [&[u8]; 3] = [b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf"];
    marks.into_iter().find_map(|mark| text.strip_prefix(mark)).unwrap_or(text)
}

fn map_of(context: &mut RenderContext<'_>, table: TomlTable) -> Result<Map, Error> {
    context.room_for_items(table.len().saturating_mul(2))?;
    let map = Map::new(MapType::Any);
    for (key, node) in table {
        map.insert(key.into(), value_of(context, node)?)?;
    }
    Ok(map)
}

fn value_of(context: &mut RenderContext<'_>, node: TomlNode) -> Result<Value, Error> {
    context.spend(1)?;
    Ok(match node {
        TomlNode::Leaf(value) => value,
        TomlNode::Table(table) => Value::Map(map_of(context, table)?),
        TomlNode::List(items) => {
            context.room_for_items(items.len())?;
            let items: Result<_, Error> = items.into_iter().map(|item| value_of(context, item)).collect();
            Value::List(List::new(ListType::Any, items?))
        }
        TomlNode::Tables(tables) => {
            context.room_for_items(tables.len())?;
            let items: Result<_, Error> =
                tables.into_iter().map(|table| map_of(context, table).map(Value::Map)).collect();
            Value::List(List::new(ListType::Maps, items?))
        }
    })
}

/// Why reading ends.
enum Stop {
    /// The text is no TOML.
    Told(String),
    /// A bound is reached.
    Bound(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Bound(error)
    }
}

type Read<T> = Result<T, Stop>;

struct Reader<'c, 'i, 't> {
    context: &'c mut RenderContext<'i>,
    cursor: TomlCursor<'t>,
    tables: TomlTables,
    /// The last part of the key whose value is read; empty where there is none.
    key: String,
    /// The line in which the last key or name of a table began.
    key_line: usize,
    /// The work on tables that was charged to the budget.
    worked: usize,
    time: MakeTime,
}

impl Reader<'_, '_, '_> {
    /// The message about a fault: its line, and the last key.
    fn told(&self, TomlFault { line, message }: TomlFault) -> Stop {
        let last = self.tables.named(&self.key);
        let last = if last.is_empty() { last } else { format!(" (last key {})", in_quotes(&last)) };
        Stop::Told(format!("toml: line {line}{last}: {message}"))
    }

    fn or_told<T>(&self, read: Result<T, TomlFault>) -> Read<T> {
        read.map_err(|fault| self.told(fault))
    }

    fn peek(&self) -> Read<Option<char>> {
        self.or_told(self.cursor.peek())
    }

    fn take(&mut self) -> Read<Option<char>> {
        let taken = self.cursor.take();
        self.or_told(taken)
    }

    fn skip(&mut self, is_of_it: impl Fn(char) -> bool) -> Read<()> {
        let skipped = self.cursor.skip(is_of_it);
        self.or_told(skipped)
    }

    /// A fault about the last character.
    fn fault_of<T>(&self, taken: Option<char>, message: String) -> Read<T> {
        Err(self.told(self.cursor.fault_of(taken, message)))
    }

    /// A fault in the line of the cursor.
    fn fault<T>(&self, message: &str) -> Read<T> {
        Err(self.told(self.cursor.fault(message.into())))
    }

    /// A fault of the tables, which is one of the key that was read last.
    fn of_key<T>(&mut self, done: Result<T, String>) -> Read<T> {
        let work = self.tables.work;
        self.context.spend(work - self.worked)?;
        self.worked = work;
        done.map_err(|message| self.told(TomlFault { line: self.key_line, message }))
    }

    fn document(&mut self) -> Read<()> {
        loop {
            self.skip(|c| is_blank(c) || is_line_end(c))?;
            match self.peek()? {
                None => return Ok(()),
                Some('#') => {
                    self.comment()?;
                    continue;
                }
                Some('[') => self.header()?,
                Some(_) => {
                    let outer = self.tables.context().to_vec();
                    self.pair(0)?;
                    self.tables.reopen(outer);
                    self.key.clear();
                }
            }
            self.skip(is_blank)?;
            match self.take()? {
                None => return Ok(()),
                Some('#') => self.comment()?,
                Some(c) if is_line_end(c) => {}
                other => {
                    let message = format!(
                        "expected a top-level item to end with a newline, comment, or EOF, but got {} instead",
                        shown(other)
                    );
                    return self.fault_of(other, message);
                }
            }
        }
    }

    /// A comment, up to the end of its line.
    fn comment(&mut self) -> Read<()> {
        self.skip(|c| !is_line_end(c))
    }

    /// `[table]` or `[[array]]`.
    fn header(&mut self) -> Read<()> {
        self.take()?;
        let is_array = self.peek()? == Some('[');
        if is_array {
            self.take()?;
        }
        let mut key = Vec::new();
        loop {
            self.skip(is_blank)?;
            match self.peek()? {
                Some(']') | None => {
                    return self.fault("unexpected end of table name (table names cannot be empty)");
                }
                Some('.') => {
                    return self.fault("unexpected table separator (table names cannot be empty)");
                }
                Some(next) => key.push(self.part(next, key.is_empty())?),
            }
            self.skip(is_blank)?;
            match self.take()? {
                Some('.') => {}
                Some(']') => break,
                other => {
                    let message =
                        format!("expected '.' or ']' to end table name, but got {} instead", shown(other));
                    return self.fault_of(other, message);
                }
            }
        }
        if is_array {
            match self.take()? {
                Some(']') => {}
                other => {
                    let what = "expected end of table array name delimiter ']'";
                    return self.fault_of(other, format!("{what}, but got {} instead", shown(other)));
                }
            }
        }
        let opened = self.tables.open(&key, is_array);
        self.of_key(opened)?;
        self.tables.note("", false);
        Ok(())
    }

    /// A part of a key, of which the next character is known.
    fn part(&mut self, next: char, is_first: bool) -> Read<String> {
        let token = if matches!(next, '"' | '\'') {
            self.take()?;
            let token = self.cursor.quoted(next);
            self.or_told(token)?
        } else {
            let token = self.cursor.bare();
            self.or_told(token)?
        };
        if is_first {
            self.key_line = token.line;
        }
        self.text(&token)
    }

    /// The parts of a key, and the `=` behind them.
    fn keys(&mut self) -> Read<Vec<String>> {
        self.skip(is_blank)?;
        match self.peek()? {
            Some('=') | None => return self.fault("unexpected '=': key name appears blank"),
            Some('.') => return self.fault("unexpected '.': keys cannot start with a '.'"),
            Some(_) => {}
        }
        let mut key = Vec::new();
        loop {
            self.skip(is_blank)?;
            match self.peek()? {
                Some('=') | None => return self.fault("unexpected '='"),
                Some('.') => return self.fault("unexpected '.'"),
                Some(next) => key.push(self.part(next, key.is_empty())?),
            }
            self.skip(is_blank)?;
            match self.take()? {
                Some('.') => {}
                Some('=') => return Ok(key),
                None => return self.fault_of(None, "unexpected EOF; expected key separator '='".into()),
                other => {
                    let message = format!("expected '.' or '=', but got {} instead", shown(other));
                    let before = self.cursor.fault_before(message.clone());
                    return if other == Some('\n') {
                        Err(self.told(before))
                    } else {
                        self.fault_of(other, message)
                    };
                }
            }
        }
    }

    /// A key and its value, which is set in the table that is open.
    fn pair(&mut self, depth: usize) -> Read<()> {
        let mut key = self.keys()?;
        self.key = key.pop().unwrap_or_default();
        for part in &key {
            let whole = [self.tables.context(), std::slice::from_ref(part)].concat();
            let opened = self.tables.open_implicitly(&whole);
            self.of_key(opened)?;
        }
        self.skip(is_blank)?;
        let node = self.value(false, depth)?;
        let is_list = matches!(node, Some(TomlNode::List(_)));
        let set = self.tables.set(&self.key, node);
        self.of_key(set)?;
        self.tables.note(&self.key, is_list);
        Ok(())
    }

    /// A value; `None` where it is a table that stands at its place already.
    fn value(&mut self, is_in_list: bool, depth: usize) -> Read<Option<TomlNode>> {
        if depth > DEPTH {
            return Err(too_deep().into());
        }
        self.skip(is_blank)?;
        let token = match self.peek()? {
            Some('[') => return Ok(Some(self.list(depth)?)),
            Some('{') => return self.inline_table(is_in_list, depth),
            Some(quote @ ('"' | '\'')) => {
                self.take()?;
                let token = self.cursor.text(quote);
                self.or_told(token)?
            }
            _ => {
                let token = self.cursor.scalar();
                self.or_told(token)?
            }
        };
        let of_token = |message: String| TomlFault { line: token.line, message };
        let leaf = match token.kind {
            TomlTokenKind::Raw | TomlTokenKind::RawLines | TomlTokenKind::Text | TomlTokenKind::Lines => {
                self.text(&token)?.into()
            }
            TomlTokenKind::Bool => (token.text == "true").into(),
            TomlTokenKind::Integer => {
                Value::Int64(self.or_told(scalars::integer(token.text).map_err(of_token))?)
            }
            TomlTokenKind::Float => Value::Float(self.or_told(scalars::float(token.text).map_err(of_token))?),
            TomlTokenKind::Time => (self.time)(self.or_told(scalars::time(token.text).map_err(of_token))?),
        };
        Ok(Some(TomlNode::Leaf(leaf)))
    }

    /// The content of a string.
    fn text(&self, token: &TomlToken<'_>) -> Read<String> {
        let said = match token.kind {
            TomlTokenKind::RawLines => Ok(scalars::without_first_line_end(token.text).to_owned()),
            TomlTokenKind::Text => scalars::unescaped(token.text),
            TomlTokenKind::Lines => {
                let lines = scalars::without_first_line_end(token.text);
                scalars::unescaped(&scalars::without_escaped_line_ends(lines))
            }
            _ => Ok(token.text.to_owned()),
        };
        self.or_told(said.map_err(|message| TomlFault { line: token.line, message }))
    }

    /// Blanks, line ends and comments.
    fn between(&mut self) -> Read<()> {
        loop {
            self.skip(|c| is_blank(c) || is_line_end(c))?;
            if self.peek()? != Some('#') {
                return Ok(());
            }
            self.comment()?;
        }
    }

    /// A list, whose items may be tables.
    fn list(&mut self, depth: usize) -> Read<TomlNode> {
        self.take()?;
        self.tables.note(&self.key, true);
        let mut items = Vec::new();
        loop {
            self.between()?;
            match self.peek()? {
                Some(',') => return self.fault("unexpected comma"),
                Some(']') => {
                    self.take()?;
                    return Ok(TomlNode::List(items));
                }
                _ => {}
            }
            let item = self.value(true, depth + 1)?;
            items.extend(item.or_else(|| self.tables.take_last(&self.key)));
            self.between()?;
            match self.take()? {
                Some(',') => {}
                Some(']') => return Ok(TomlNode::List(items)),
                other => {
                    let message = "expected a comma (',') or array terminator (']'), but got";
                    return self.fault_of(other, format!("{message} {}", unquoted(other)));
                }
            }
        }
    }

    /// `{ key = value, ... }`, which is read into its own place, as the last of the tables there where it is
    /// an item of a list.
    fn inline_table(&mut self, is_in_list: bool, depth: usize) -> Read<Option<TomlNode>> {
        self.take()?;
        let (outer, outer_key) = (self.tables.context().to_vec(), std::mem::take(&mut self.key));
        let whole = [outer.as_slice(), std::slice::from_ref(&outer_key)].concat();
        self.tables.reopen(whole.clone());
        self.tables.imply(&whole);
        let opened = self.tables.open(&whole, is_in_list);
        self.of_key(opened)?;
        'pairs: loop {
            self.between()?;
            match self.peek()? {
                Some(',') => return self.fault("unexpected comma"),
                Some('}') => {
                    self.take()?;
                    break;
                }
                _ => {}
            }
            self.pair(depth + 1)?;
            self.tables.reopen(whole.clone());
            loop {
                self.between()?;
                match self.take()? {
                    Some(',') => {
                        self.skip(is_blank)?;
                        if self.peek()? != Some('}') {
                            break;
                        }
                    }
                    Some('}') => break 'pairs,
                    other => {
                        let message = "expected a comma or an inline table terminator '}', but got";
                        return self.fault_of(other, format!("{message} {} instead", unquoted(other)));
                    }
                }
            }
        }
        self.tables.reopen(outer);
        self.key = outer_key;
        Ok(None)
    }
}

/// A character as some messages show it.
fn unquoted(c: Option<char>) -> String {
    c.map_or_else(|| "end of file".into(), |c| format!("'{c}'"))
}
