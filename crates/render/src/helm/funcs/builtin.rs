//! Go's own functions that take values: `print` and its kin, and the escapes for HTML, JavaScript and URLs.

use crate::helm::context::RenderContext;
use crate::helm::error::Error;
use crate::helm::function::Function;
use crate::helm::go::print;
use crate::helm::go::unicode::{decode, is_print};
use crate::helm::value::{Args, Type};
use crate::helm::value::{Str, Value};

pub(super) const TABLE: &[Function] = &[
    Function::variadic("html", &[], Type::Any, html),
    Function::variadic("js", &[], Type::Any, js),
    Function::variadic("print", &[], Type::Any, print),
    Function::variadic("printf", &[Type::String], Type::Any, printf),
    Function::variadic("println", &[], Type::Any, println),
    Function::variadic("urlquery", &[], Type::Any, urlquery),
];

type Done = Result<Value, Error>;

fn print(context: &mut RenderContext<'_>, arguments: Args<'_>) -> Done {
    print::sprint(context, arguments.rest(0)).map(Value::from)
}

fn println(context: &mut RenderContext<'_>, arguments: Args<'_>) -> Done {
    print::sprintln(context, arguments.rest(0)).map(Value::from)
}

fn printf(context: &mut RenderContext<'_>, arguments: Args<'_>) -> Done {
    print::sprintf(context, arguments.bytes(0), arguments.rest(1)).map(Value::from)
}

/// The arguments as one text, as `print` returns them. Nil is `<no value>` here.
fn text(context: &mut RenderContext<'_>, arguments: Args<'_>) -> Result<Str, Error> {
    if let [Value::Str(text)] = arguments.rest(0) {
        return Ok(text.clone());
    }
    let named = |value: &Value| if value.is_nil() { Value::from("<no value>") } else { value.clone() };
    let values: Vec<Value> = arguments.rest(0).iter().map(named).collect();
    print::sprint(context, &values).map(Str::from)
}

fn html(context: &mut RenderContext<'_>, arguments: Args<'_>) -> Done {
    let text = text(context, arguments)?;
    context.room(text.len() * 5)?;
    let mut out = Vec::with_capacity(text.len());
    for byte in text.iter() {
        match byte {
            0 => out.extend_from_slice("\u{FFFD}".as_bytes()),
            b'"' => out.extend_from_slice(b"&#34;"),
            b'\'' => out.extend_from_slice(b"&#39;"),
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            other => out.push(*other),
        }
    }
    Ok(out.into())
}

fn js(context: &mut RenderContext<'_>, arguments: Args<'_>) -> Done {
    let text = text(context, arguments)?;
    context.room(text.len() * 6)?;
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some((character, width)) = decode(rest) {
        let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
        match character {
            '\\' => out.extend_from_slice(br"\\"),
            '\'' => out.extend_from_slice(br"\'"),
            '"' => out.extend_from_slice(br#"\""#),
            '<' => out.extend_from_slice(br"\u003C"),
            '>' => out.extend_from_slice(br"\u003E"),
            '&' => out.extend_from_slice(br"\u0026"),
            '=' => out.extend_from_slice(br"\u003D"),
            _ if character < ' ' => {
                out.extend_from_slice(format!(r"\u{:04X}", u32::from(character)).as_bytes());
            }
            _ if character.is_ascii() || is_print(character) => out.extend_from_slice(&rest[..width]),
            _ => out.extend_from_slice(format!(r"\u{:04X}", u32::from(character)).as_bytes()),
        }
        rest = &rest[width..];
    }
    Ok(out.into())
}

fn urlquery(context: &mut RenderContext<'_>, arguments: Args<'_>) -> Done {
    let text = text(context, arguments)?;
    context.room(text.len() * 3)?;
    let mut out = Vec::with_capacity(text.len());
    for byte in text.iter() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(*byte),
            b' ' => out.push(b'+'),
            other => out.extend_from_slice(format!("%{other:02X}").as_bytes()),
        }
    }
    Ok(out.into())
}
