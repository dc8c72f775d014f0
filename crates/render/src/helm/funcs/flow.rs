//! Functions that end a render or ask the cluster.

use crate::helm::context::{LookupQuery, RenderContext};
use crate::helm::error::Error;
use crate::helm::function::Function;
use crate::helm::value::Value;
use crate::helm::value::{Args, Type};

pub(super) const TABLE: &[Function] = &[
    Function::new("fail", &[Type::String], fail),
    Function::new("lookup", &[Type::String, Type::String, Type::String, Type::String], lookup),
    Function::new("required", &[Type::String, Type::Any], required),
];

/// The mark that helm puts before the message of a chart, so that it can find it in the error's text.
pub const WARN_START: &str = "HELM_ERR_START";
/// The mark behind the message, see [`WARN_START`].
pub const WARN_END: &str = "HELM_ERR_END";

fn warning(message: &[u8]) -> Error {
    Error::new(format!("{WARN_START}{}{WARN_END}", String::from_utf8_lossy(message)))
}

fn fail(_: &mut RenderContext<'_>, arguments: Args<'_>) -> Result<Value, Error> {
    Err(warning(arguments.bytes(0)))
}

fn required(_: &mut RenderContext<'_>, arguments: Args<'_>) -> Result<Value, Error> {
    match arguments.value(1) {
        Value::Nil => Err(warning(arguments.bytes(0))),
        Value::Str(text) if text.is_empty() => Err(warning(arguments.bytes(0))),
        other => Ok(other.clone()),
    }
}

fn lookup(context: &mut RenderContext<'_>, arguments: Args<'_>) -> Result<Value, Error> {
    let text = |at: usize| String::from_utf8_lossy(arguments.bytes(at)).into_owned();
    let query = LookupQuery { api_version: text(0), kind: text(1), namespace: text(2), name: text(3) };
    context.lookups.look(&query)
}
