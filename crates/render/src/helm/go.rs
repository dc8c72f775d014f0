//! What Go's standard library does, as far as templates see it: numbers, texts and how values are printed.

mod decimal;
mod format;
pub mod duration;
pub mod layout;
pub mod number;
pub mod print;
pub mod quote;
pub mod re2;
mod re2_class;
pub mod time;
pub mod unicode;
pub mod url;

pub use decimal::parse_float;
