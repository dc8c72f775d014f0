//! A string of Go: any bytes, shared and never changed.

use std::borrow::Borrow;
use std::cell::Cell;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::rc::Rc;

thread_local! {
    /// The memory of this thread's values, in bytes. Values are `Rc`, so they live on one thread.
    static LIVE: Cell<usize> = const { Cell::new(0) };
}

/// The bytes that the strings, lists and maps of this thread hold now.
pub fn live() -> usize {
    LIVE.with(Cell::get)
}

/// Counts bytes outside of values, such as those of a parsed template.
pub(in crate::helm) fn grow(bytes: usize) {
    LIVE.with(|live| live.set(live.get().saturating_add(bytes)));
}

/// Returns bytes that [`grow`] has counted.
pub(in crate::helm) fn shrink(bytes: usize) {
    LIVE.with(|live| live.set(live.get().saturating_sub(bytes)));
}

/// The size of a string without its bytes.
const OVERHEAD: usize = 56;

/// A string of Go. It need not be UTF-8: the bytes of a file and the result of `b64dec` are kept unchanged.
#[derive(Clone)]
pub struct Str(Rc<Owned>);

struct Owned(Vec<u8>);

impl Drop for Owned {
    fn drop(&mut self) {
        shrink(self.0.capacity() + OVERHEAD);
    }
}

impl Str {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0.0
    }

    /// The text, for messages and for functions that work on characters. Bytes that are no UTF-8 become
    /// U+FFFD.
    pub fn lossy(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.0.0)
    }

    /// The text, if it is UTF-8.
    pub fn utf8(&self) -> Option<&str> {
        std::str::from_utf8(&self.0.0).ok()
    }

    /// Whether both are the same string in memory.
    pub fn is_same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl From<Vec<u8>> for Str {
    fn from(bytes: Vec<u8>) -> Self {
        grow(bytes.capacity() + OVERHEAD);
        Self(Rc::new(Owned(bytes)))
    }
}

impl From<&[u8]> for Str {
    fn from(bytes: &[u8]) -> Self {
        Self::from(bytes.to_vec())
    }
}

impl From<&str> for Str {
    fn from(text: &str) -> Self {
        Self::from(text.as_bytes().to_vec())
    }
}

impl From<String> for Str {
    fn from(text: String) -> Self {
        Self::from(text.into_bytes())
    }
}

impl Deref for Str {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0.0
    }
}

impl Borrow<[u8]> for Str {
    fn borrow(&self) -> &[u8] {
        &self.0.0
    }
}

impl PartialEq for Str {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl PartialEq<str> for Str {
    fn eq(&self, other: &str) -> bool {
        self.bytes() == other.as_bytes()
    }
}

impl PartialEq<&str> for Str {
    fn eq(&self, other: &&str) -> bool {
        self.bytes() == other.as_bytes()
    }
}

impl Eq for Str {}

impl PartialOrd for Str {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Str {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes().cmp(other.bytes())
    }
}

impl Hash for Str {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes().hash(state);
    }
}

impl fmt::Debug for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.lossy())
    }
}
