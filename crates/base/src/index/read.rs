//! Reads an index from its stream, event by event, and keeps only the text that an offer needs.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Read};

use granit_parser::{ErrorKind, Event, FallibleBufferedInput, InputIoError, Parser, ScanError};

use super::{ChartIndex, Offer, Span};
use crate::model::Digest;
use crate::model::version::Version;

/// The largest index that is read, in bytes.
pub const LIMIT: u64 = 64 << 20;
/// How many versions of charts an index may have.
const OFFERS: usize = 500_000;
/// How deep collections may nest.
const DEPTH: usize = 100;
/// The size of the read buffer.
const BUFFER: usize = 1 << 16;
/// The longest name of a chart, in bytes.
const NAME: usize = 256;

/// Why an index cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The file is empty.
    #[error("empty index.yaml file")]
    Empty,
    /// The file does not declare itself an index.
    #[error("no API version specified")]
    NoApiVersion,
    /// The file is no YAML, or does not have the form of an index.
    #[error("line {line}: {problem}")]
    Form {
        /// The line, from 1.
        line: usize,
        /// The mistake.
        problem: String,
    },
    /// The index is larger than a limit.
    #[error("{0}")]
    TooLarge(String),
    /// The stream failed.
    #[error("{0}")]
    Broken(io::Error),
}

type Done<T> = Result<T, IndexError>;

impl ChartIndex {
    /// Reads an index, as YAML or JSON.
    pub fn read(stream: impl Read) -> Done<Self> {
        let options = granit_parser::options! {
            emit_comments: false,
            flow_nesting_limit: DEPTH,
            block_nesting_limit: DEPTH,
        };
        let input = FallibleBufferedInput::new(Chars::new(stream));
        let mut events = Events(Parser::with_options(input, options));
        let mut index = Builder::default();
        index.document(&mut events)?;
        if !index.has_api_version {
            return Err(IndexError::NoApiVersion);
        }
        Ok(index.finished())
    }
}

/// The part of an index that has been read.
#[derive(Default)]
struct Builder {
    text: String,
    charts: BTreeMap<Box<str>, Vec<Offer>>,
    count: usize,
    left_out: usize,
    has_api_version: bool,
}

/// The part of an entry that has been read.
#[derive(Default)]
struct Entry {
    has_name: bool,
    version: String,
    url: Option<String>,
    created: i64,
    digest: Option<Digest>,
}

impl Builder {
    fn document<R: Read>(&mut self, events: &mut Events<R>) -> Done<()> {
        loop {
            let (event, line) = events.next()?;
            match event {
                Event::StreamStart | Event::DocumentStart(..) => {}
                Event::MappingStart(..) => return self.fields(events),
                Event::StreamEnd | Event::DocumentEnd => return Err(IndexError::Empty),
                Event::Scalar(text, ..) if is_null(&text) => return Err(IndexError::Empty),
                _ => return Err(form(line, "an index is a map")),
            }
        }
    }

    fn fields<R: Read>(&mut self, events: &mut Events<R>) -> Done<()> {
        while let Some(key) = events.key()? {
            match (&*key, events.next()?) {
                ("apiVersion", (Event::Scalar(text, ..), _)) => self.has_api_version = !is_null(&text),
                ("entries", (Event::MappingStart(..), _)) => {
                    while let Some(name) = events.key()? {
                        self.chart(name, events)?;
                    }
                }
                ("entries", (Event::Scalar(text, ..), _)) if is_null(&text) => {}
                ("entries", (_, line)) => {
                    return Err(form(line, "entries must be a map of charts to lists of their versions"));
                }
                (_, (event, _)) => events.skip(&event)?,
            }
        }
        Ok(())
    }

    fn chart<R: Read>(&mut self, name: String, events: &mut Events<R>) -> Done<()> {
        let mut offers = Vec::new();
        match events.next()? {
            (Event::SequenceStart(..), _) => loop {
                match events.next()? {
                    (Event::SequenceEnd, _) => break,
                    (Event::MappingStart(..), _) => {
                        let entry = Entry::read(events)?;
                        self.take(&entry, &mut offers)?;
                    }
                    (Event::Scalar(text, ..), _) if is_null(&text) => self.left_out += 1,
                    (_, line) => {
                        return Err(form(line, &format!("a version of '{}' is no map", shown(&name))));
                    }
                }
            },
            (Event::Scalar(text, ..), _) if is_null(&text) => {}
            (_, line) => {
                return Err(form(line, &format!("entries.{} must be a list of its versions", shown(&name))));
            }
        }
        if name.len() > NAME {
            self.left_out += offers.len();
        } else {
            offers.shrink_to_fit();
            // If a chart appears twice, the last one counts.
            self.charts.insert(name.into(), offers);
        }
        Ok(())
    }

    /// Adds an entry that is valid to helm: it has a name, and a version that can be read.
    fn take(&mut self, entry: &Entry, offers: &mut Vec<Offer>) -> Done<()> {
        if !entry.has_name || Version::parse(&entry.version).is_err() {
            self.left_out += 1;
            return Ok(());
        }
        self.count += 1;
        if self.count > OFFERS {
            return Err(IndexError::TooLarge(format!("the index has more than {OFFERS} versions of charts")));
        }
        let (Some(version), Some(url)) =
            (self.keep(&entry.version), self.keep(entry.url.as_deref().unwrap_or_default()))
        else {
            self.left_out += 1;
            return Ok(());
        };
        offers.push(Offer { version, url, created: entry.created, digest: entry.digest });
        Ok(())
    }

    /// Stores a text; `None` for one that is too long for any field of an offer.
    fn keep(&mut self, text: &str) -> Option<Span> {
        let length = u16::try_from(text.len()).ok()?;
        let start = u32::try_from(self.text.len()).ok()?;
        self.text.push_str(text);
        Some(Span { start, length })
    }

    fn finished(mut self) -> ChartIndex {
        self.text.shrink_to_fit();
        ChartIndex { text: self.text, charts: self.charts, left_out: self.left_out }
    }
}

impl Entry {
    /// Reads an entry after the start of its map.
    fn read<R: Read>(events: &mut Events<R>) -> Done<Self> {
        let mut entry = Self::default();
        while let Some(key) = events.key()? {
            match (&*key, events.next()?.0) {
                ("name", Event::Scalar(text, ..)) => entry.has_name = !is_null(&text),
                ("version", Event::Scalar(text, ..)) => entry.version = text.into_owned(),
                ("created", Event::Scalar(text, ..)) => entry.created = moment(&text),
                ("digest", Event::Scalar(text, ..)) => entry.digest = text.parse().ok(),
                ("urls", Event::SequenceStart(..)) => loop {
                    match events.next()?.0 {
                        Event::SequenceEnd => break,
                        Event::Scalar(text, ..) => {
                            entry.url.get_or_insert_with(|| text.into_owned());
                        }
                        other => events.skip(&other)?,
                    }
                },
                (_, event) => events.skip(&event)?,
            }
        }
        Ok(entry)
    }
}

/// Nanoseconds since 1970; 0 for a text that is no timestamp.
fn moment(text: &str) -> i64 {
    let moment = text.parse::<jiff::Timestamp>().ok();
    moment.and_then(|moment| i64::try_from(moment.as_nanosecond()).ok()).unwrap_or_default()
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn shown(name: &str) -> String {
    name.chars().take(NAME).flat_map(char::escape_debug).collect()
}

fn form(line: usize, problem: &str) -> IndexError {
    IndexError::Form { line, problem: problem.to_owned() }
}

/// The events of a stream.
struct Events<R: Read>(Parser<'static, FallibleBufferedInput<Chars<R>>>);

impl<R: Read> Events<R> {
    /// The next event and its line.
    fn next(&mut self) -> Done<(Event<'static>, usize)> {
        match self.0.next_event() {
            Some(Ok((event, span))) => Ok((event, span.start.line())),
            Some(Err(error)) => Err(failed(error)),
            None => Ok((Event::StreamEnd, 0)),
        }
    }

    /// The next key of a map; `None` at its end.
    fn key(&mut self) -> Done<Option<String>> {
        match self.next()? {
            (Event::MappingEnd, _) => Ok(None),
            (Event::Scalar(text, ..), _) => Ok(Some(Cow::into_owned(text))),
            (_, line) => Err(form(line, "a key must be a text")),
        }
    }

    /// Skips the rest of a value whose first event was taken.
    fn skip(&mut self, first: &Event<'_>) -> Done<()> {
        let mut depth = match first {
            Event::MappingStart(..) | Event::SequenceStart(..) => 1_usize,
            _ => 0,
        };
        while depth > 0 {
            match self.next()? {
                (Event::MappingStart(..) | Event::SequenceStart(..), _) => depth += 1,
                (Event::MappingEnd | Event::SequenceEnd, _) => depth -= 1,
                (Event::StreamEnd, line) => return Err(form(line, "it ends too early")),
                _ => {}
            }
        }
        Ok(())
    }
}

fn failed(error: ScanError) -> IndexError {
    if matches!(error.kind(), ErrorKind::InputByteLimitExceeded { .. }) {
        return IndexError::TooLarge(format!("the index is larger than {} MiB", LIMIT >> 20));
    }
    match error.try_into_input_io_error() {
        Ok(error) => IndexError::Broken(
            error.try_into_io_error().unwrap_or_else(|error| io::Error::other(error.to_string())),
        ),
        Err(error) => form(error.marker().line(), &error.info().replace('\n', " ")),
    }
}

/// The characters of a stream of UTF-8, of which at most [`LIMIT`] bytes are read.
struct Chars<R> {
    stream: R,
    buffer: Vec<u8>,
    at: usize,
    read: u64,
    /// Whether a character was taken already.
    has_begun: bool,
}

impl<R: Read> Chars<R> {
    fn new(stream: R) -> Self {
        Self { stream, buffer: Vec::new(), at: 0, read: 0, has_begun: false }
    }

    /// Reads until a whole character is in the buffer; false at the end of the stream.
    fn fill(&mut self) -> Result<bool, ErrorKind> {
        self.buffer.drain(..self.at);
        self.at = 0;
        let kept = self.buffer.len();
        self.buffer.resize(BUFFER, 0);
        let read = loop {
            match self.stream.read(&mut self.buffer[kept..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        let read = read.map_err(|error| ErrorKind::InputIo { error: InputIoError::from(error) })?;
        self.buffer.truncate(kept + read);
        self.read += read as u64;
        if self.read > LIMIT {
            let limit = usize::try_from(LIMIT).unwrap_or(usize::MAX);
            return Err(ErrorKind::InputByteLimitExceeded { limit });
        }
        Ok(read > 0)
    }
}

impl<R: Read> Iterator for Chars<R> {
    type Item = Result<char, ErrorKind>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let rest = &self.buffer[self.at..];
            if let Some(first) = rest.first() {
                if first.is_ascii() {
                    self.at += 1;
                    self.has_begun = true;
                    return Some(Ok(char::from(*first)));
                }
                let whole = rest[..rest.len().min(4)].utf8_chunks().next();
                if let Some(c) = whole.and_then(|chunk| chunk.valid().chars().next()) {
                    self.at += c.len_utf8();
                    // A byte order mark is no part of the text.
                    if std::mem::replace(&mut self.has_begun, true) || c != '\u{feff}' {
                        return Some(Ok(c));
                    }
                    continue;
                }
                if rest.len() >= 4 {
                    return Some(Err(not_text()));
                }
            }
            match self.fill() {
                Ok(true) => {}
                Ok(false) if self.buffer.is_empty() => return None,
                Ok(false) => return Some(Err(not_text())),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

fn not_text() -> ErrorKind {
    ErrorKind::InputDecoding { message: "it is not UTF-8".into() }
}
