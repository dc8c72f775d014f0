//! Go's text/template: [`parse`] makes templates of a text, [`Set`] holds those of a chart, [`execute`] runs
//! one.

mod lexer;
mod literal;
mod node;
mod parser;
mod parsed;
mod set;
mod reflected;
mod exec;
mod field;
mod compare;
mod call;

pub(crate) use call::without_no_value;
pub use exec::{Run, execute};
pub use node::Template;
pub use parsed::ParsedTemplates;
pub use parser::parse;
pub use set::Set;
