//! A function that templates can call.

use super::context::RenderContext;
use super::error::Error;
use super::value::{Args, Signature, Type, Value};

/// The body of a function. Its arguments fit its signature, and it returns the result of Go's function. If
/// Go's function panics, the error has the panic's text.
pub type FunctionBody = fn(&mut RenderContext<'_>, Args<'_>) -> Result<Value, Error>;

/// A function that templates can call.
#[derive(Debug, Clone, Copy)]
pub struct Function {
    /// Its name in templates.
    pub name: &'static str,
    /// Its parameters.
    pub signature: Signature,
    /// Its body.
    pub run: FunctionBody,
}

impl Function {
    /// A function that takes exactly these arguments.
    pub const fn new(name: &'static str, fixed: &'static [Type], run: FunctionBody) -> Self {
        Self { name, signature: Signature { fixed, rest: None }, run }
    }

    /// A function that takes these arguments and then any number of `rest`.
    pub const fn variadic(name: &'static str, fixed: &'static [Type], rest: Type, run: FunctionBody) -> Self {
        Self { name, signature: Signature { fixed, rest: Some(rest) }, run }
    }
}
