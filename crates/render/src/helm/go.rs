//! Go's standard library, as far as templates see it: numbers, texts, times, addresses, regular expressions
//! and the printing of values.

mod decimal;
pub mod number;
mod float;
pub mod unicode;
pub mod quote;
mod format;
mod verb;
pub mod print;
pub mod time;
pub mod duration;
pub mod layout;
pub mod layout_read;
pub mod re2_escape;
mod re2_class;
pub mod re2;
pub mod url;

pub use float::parse_float;
