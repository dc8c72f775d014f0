//! Commands and calls: which names are functions, which arguments fit, and the value of a literal for each
//! type of argument.

use super::compare;
use super::exec::{Exec, run_template};
use super::field::Method;
use super::node::{NodeId, TemplatePart};
use super::parser::parse;
use super::reflected::Reflected;
use super::set::Set;
use crate::helm::error::Error;
use crate::helm::funcs::{Builtin, Callee};
use crate::helm::function::Function;
use crate::helm::go::quote::quote;
use crate::helm::value::{Args, Signature, Type};
use crate::helm::value::{Str, Value};

/// How often a template may include itself, as in helm.
const INCLUDES: usize = 1000;

type Done<T> = Result<T, Error>;

/// The target of a call.
#[derive(Clone, Copy)]
enum Target<'m> {
    Builtin(Builtin),
    Include,
    Tpl,
    Function(&'static Function),
    Method(&'m Method),
}

/// The type of an argument: Go's own functions take `reflect.Value`, all others take values.
#[derive(Clone, Copy)]
enum Wanted {
    Reflected,
    Type(Type),
}

impl Target<'_> {
    /// The number of required arguments, and whether there may be more.
    fn arity(self) -> (usize, bool) {
        match self {
            Self::Builtin(builtin) => builtin.arity(),
            Self::Include | Self::Tpl => (2, false),
            Self::Function(function) => (function.signature.fixed.len(), function.signature.rest.is_some()),
            Self::Method(method) => (method.signature.fixed.len(), method.signature.rest.is_some()),
        }
    }

    fn wanted(self, at: usize) -> Wanted {
        let of = |signature: Signature| {
            Wanted::Type(signature.fixed.get(at).copied().or(signature.rest).unwrap_or(Type::Any))
        };
        match self {
            Self::Builtin(_) => Wanted::Reflected,
            Self::Include | Self::Tpl => Wanted::Type(if at == 0 { Type::String } else { Type::Any }),
            Self::Function(function) => of(function.signature),
            Self::Method(method) => of(method.signature),
        }
    }
}

impl Exec<'_, '_, '_> {
    pub(super) fn not_a_function(&self, arguments: Option<&[NodeId]>, last: Option<&Reflected>) -> Done<()> {
        if let Some(arguments) = arguments
            && (arguments.len() > 1 || last.is_some())
        {
            let first = arguments.first().map(|first| self.source.written(*first)).unwrap_or_default();
            return self.fail(format!("can't give argument to non-function {first}"));
        }
        Ok(())
    }

    /// A command. Its last argument is the result of the command before it in the pipeline.
    pub(super) fn command(
        &mut self,
        dot: &Reflected,
        id: NodeId,
        last: Option<Reflected>,
    ) -> Done<Reflected> {
        let source = self.source;
        let TemplatePart::Command(arguments) = source.part(id) else { return self.fail("not a command") };
        let Some(first) = arguments.first().copied() else { return self.fail("empty command") };
        let all = Some(&arguments[..]);
        match source.part(first) {
            TemplatePart::Field(_) => return self.field_node(dot, first, all, last),
            TemplatePart::Chain { .. } => return self.chain_node(dot, first, all, last),
            TemplatePart::Identifier { .. } => return self.identifier(dot, first, id, all, last),
            TemplatePart::Pipe { .. } => {
                self.not_a_function(all, last.as_ref())?;
                return self.pipeline(dot, first);
            }
            TemplatePart::Variable { .. } => return self.variable_node(dot, first, all, last),
            _ => {}
        }
        self.at(first);
        self.not_a_function(all, last.as_ref())?;
        match source.part(first) {
            TemplatePart::Dot => Ok(dot.clone()),
            TemplatePart::Nil => self.fail("nil is not a command"),
            TemplatePart::Bool(value) => Ok(Reflected::plain(Value::Bool(*value))),
            TemplatePart::Number { .. } => self.constant(first).map(Reflected::plain),
            TemplatePart::String { text, .. } => Ok(Reflected::plain(Value::Str(text.clone()))),
            _ => self.fail(format!("can't evaluate command {:?}", source.written(first))),
        }
    }

    pub(super) fn identifier(
        &mut self,
        dot: &Reflected,
        id: NodeId,
        command: NodeId,
        arguments: Option<&[NodeId]>,
        last: Option<Reflected>,
    ) -> Done<Reflected> {
        self.at(id);
        let source = self.source;
        let TemplatePart::Identifier { name, callee } = source.part(id) else {
            return self.fail("not a function");
        };
        let target = match *callee {
            Callee::Builtin(builtin) => Target::Builtin(builtin),
            Callee::Include => Target::Include,
            Callee::Tpl => Target::Tpl,
            Callee::Function(function) => Target::Function(function),
        };
        self.call(dot, target, command, &name.lossy(), arguments, last)
    }

    pub(super) fn call_method(
        &mut self,
        dot: &Reflected,
        method: &Method,
        node: NodeId,
        name: &str,
        arguments: Option<&[NodeId]>,
        last: Option<Reflected>,
    ) -> Done<Reflected> {
        self.call(dot, Target::Method(method), node, name, arguments, last)
    }

    fn call(
        &mut self,
        dot: &Reflected,
        target: Target<'_>,
        node: NodeId,
        name: &str,
        arguments: Option<&[NodeId]>,
        last: Option<Reflected>,
    ) -> Done<Reflected> {
        // The first argument is the function itself.
        let arguments = arguments.and_then(|all| all.get(1..)).unwrap_or(&[]);
        let count = arguments.len() + usize::from(last.is_some());
        let (fixed, is_variadic) = target.arity();
        if is_variadic && count < fixed {
            let given = arguments.len();
            return self.fail(format!("wrong number of args for {name}: want at least {fixed} got {given}"));
        }
        if !is_variadic && count != fixed {
            return self.fail(format!("wrong number of args for {name}: want {fixed} got {count}"));
        }
        if let Target::Builtin(builtin @ (Builtin::And | Builtin::Or)) = target {
            return self.and_or(dot, builtin, arguments, last);
        }
        let mut reflected = Vec::new();
        let mut values = Vec::with_capacity(count);
        for (at, argument) in arguments.iter().enumerate() {
            match target.wanted(at) {
                Wanted::Reflected => reflected.push(self.reflected_argument(dot, *argument)?),
                Wanted::Type(of) => values.push(self.argument(dot, of, *argument)?),
            }
        }
        let piped = last.clone();
        if let Some(last) = last {
            match target.wanted(count - 1) {
                Wanted::Reflected => reflected.push(last),
                Wanted::Type(of) => values.push(self.validate(&last, of)?),
            }
        }
        self.run.context.spend(1).map_err(|error| self.error_of("", error))?;
        let result = match target {
            Target::Builtin(Builtin::Call) => {
                let callee = match (arguments.first(), piped) {
                    (Some(first), _) => self.source.written(*first),
                    (None, Some(Reflected { value: Value::Str(text), .. })) => text.lossy().into_owned(),
                    (None, Some(other)) => format!("<{} Value>", other.type_name()),
                    (None, None) => String::new(),
                };
                compare::call(&callee, reflected.first()).map(Reflected::plain)
            }
            Target::Builtin(builtin) => compare::run(builtin, &reflected, self.run.context),
            Target::Include => self.include(&values).map(Reflected::plain),
            Target::Tpl => self.tpl(&values).map(Reflected::plain),
            Target::Function(function) => {
                (function.run)(self.run.context, Args::new(&values)).map(Reflected::plain)
            }
            Target::Method(method) => self.run_method(method, name, &values).map(Reflected::plain),
        };
        let memory = result.and_then(|value| self.run.context.memory(0).map(|()| value));
        memory.map_err(|error| {
            self.at(node);
            self.error_of(format!("error calling {name}: "), error)
        })
    }

    fn and_or(
        &mut self,
        dot: &Reflected,
        builtin: Builtin,
        arguments: &[NodeId],
        last: Option<Reflected>,
    ) -> Done<Reflected> {
        let mut value = Reflected::invalid();
        for argument in arguments {
            value = self.reflected_argument(dot, *argument)?;
            if value.value.truth() == (builtin == Builtin::Or) {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }

    /// An argument of one of Go's functions that take a `reflect.Value`.
    fn reflected_argument(&mut self, dot: &Reflected, id: NodeId) -> Done<Reflected> {
        self.at(id);
        let source = self.source;
        match source.part(id) {
            TemplatePart::Dot => Ok(dot.clone()),
            TemplatePart::Nil => Ok(Reflected::invalid()),
            TemplatePart::Field(_) => self.field_node(dot, id, Some(&[id]), None),
            TemplatePart::Variable { .. } => self.variable_node(dot, id, None, None),
            TemplatePart::Pipe { .. } => self.pipeline(dot, id),
            TemplatePart::Identifier { .. } => self.identifier(dot, id, id, None, None),
            TemplatePart::Chain { .. } => self.chain_node(dot, id, None, None),
            TemplatePart::Bool(value) => Ok(Reflected::plain(Value::Bool(*value))),
            TemplatePart::Number { .. } => self.constant(id).map(Reflected::plain),
            TemplatePart::String { text, .. } => Ok(Reflected::plain(Value::Str(text.clone()))),
            _ => self.fail(format!("can't handle {} for arg of type reflect.Value", source.written(id))),
        }
    }

    /// An argument of this type.
    fn argument(&mut self, dot: &Reflected, of: Type, id: NodeId) -> Done<Value> {
        self.at(id);
        let source = self.source;
        let part = source.part(id);
        match part {
            TemplatePart::Dot => return self.validate(dot, of),
            TemplatePart::Nil => {
                return match of.zero_of_nil() {
                    Some(zero) => Ok(zero),
                    None => self.fail(format!("cannot assign nil to {}", of.name())),
                };
            }
            TemplatePart::Field(_)
            | TemplatePart::Variable { .. }
            | TemplatePart::Pipe { .. }
            | TemplatePart::Identifier { .. }
            | TemplatePart::Chain { .. } => {
                let value = self.reflected_argument(dot, id)?;
                return self.validate(&value, of);
            }
            _ => {}
        }
        let written = || source.written(id);
        match (of, part) {
            (Type::Any | Type::Bool, TemplatePart::Bool(value)) => Ok(Value::Bool(*value)),
            (Type::Any, TemplatePart::Number { .. }) => self.constant(id),
            (Type::Any | Type::String, TemplatePart::String { text, .. }) => Ok(Value::Str(text.clone())),
            (Type::Bool, _) => self.fail(format!("expected bool; found {}", written())),
            (Type::String, _) => self.fail(format!("expected string; found {}", written())),
            (Type::Float64, TemplatePart::Number { number, .. }) if number.float.is_some() => {
                Ok(Value::Float(number.float.unwrap_or_default()))
            }
            (Type::Float64, _) => self.fail(format!("expected float; found {}", written())),
            (Type::Int, TemplatePart::Number { number, .. }) if number.int.is_some() => {
                Ok(Value::Int(number.int.unwrap_or_default()))
            }
            (Type::Int64, TemplatePart::Number { number, .. }) if number.int.is_some() => {
                Ok(Value::Int64(number.int.unwrap_or_default()))
            }
            (Type::Int | Type::Int64, _) => self.fail(format!("expected integer; found {}", written())),
            (Type::Uint32, TemplatePart::Number { number, .. }) if number.uint.is_some() => {
                // Go's SetUint drops the upper bits.
                Ok(Value::Uint64(number.uint.unwrap_or_default() & 0xFFFF_FFFF))
            }
            (Type::Uint32, _) => self.fail(format!("expected unsigned integer; found {}", written())),
            _ => self.fail(format!("can't handle {} for arg of type {}", written(), of.name())),
        }
    }

    /// The value as an argument of this type.
    fn validate(&self, value: &Reflected, of: Type) -> Done<Value> {
        if !value.is_valid() {
            return match of.zero_of_nil() {
                Some(zero) => Ok(zero),
                None => self.fail(format!("invalid value; expected {}", of.name())),
            };
        }
        if value.value.is_nil() && of != Type::Any {
            let expected = of.name();
            return self.fail(format!("wrong type for value; expected {expected}; got interface {{}}"));
        }
        of.assign(&value.value).ok_or_else(|| {
            let (expected, got) = (of.name(), value.value.type_name());
            self.error(format!("wrong type for value; expected {expected}; got {got}"))
        })
    }

    /// A number whose type the context does not decide.
    fn constant(&mut self, id: NodeId) -> Done<Value> {
        self.at(id);
        let source = self.source;
        let TemplatePart::Number { text, number } = source.part(id) else { return self.fail("not a number") };
        if let Some(complex) = number.complex {
            return Ok(Value::Complex(complex.into()));
        }
        let is_hex =
            text.len() > 2 && text[0] == b'0' && matches!(text[1], b'x' | b'X') && !contains(text, b"pP");
        let is_char = text.first() == Some(&b'\'');
        if let Some(float) = number.float
            && !is_hex
            && !is_char
            && contains(text, b".eEpP")
        {
            return Ok(Value::Float(float));
        }
        if let Some(int) = number.int {
            return Ok(Value::Int(int));
        }
        self.fail(format!("{} overflows int", text.lossy()))
    }

    fn include(&mut self, values: &[Value]) -> Done<Value> {
        let arguments = Args::new(values);
        let name = arguments.str(0);
        let count = self.run.included.get(&name[..]).copied().unwrap_or(0);
        if count > INCLUDES {
            let error = Error::new("unable to execute template");
            let name = name.lossy();
            return Err(error.within(format!("rendering template has a nested reference name: {name}: ")));
        }
        let Some(template) = self.set.get(&name) else {
            let name = quoted(&name);
            return Err(Error::new(format!(
                "template: no template {name} associated with template \"gotpl\""
            )));
        };
        self.run.included.insert(name.clone(), count + 1);
        let data = Reflected::plain(arguments.value(1).clone());
        let printed = run_template(self.run, self.set, template, &data);
        self.run.included.insert(name, count);
        printed.map(Value::str)
    }

    fn tpl(&mut self, values: &[Value]) -> Done<Value> {
        let arguments = Args::new(values);
        let text = arguments.str(0);
        let name = Str::from("gotpl");
        self.run.context.spend(text.len() / 8)?;
        let templates = parse(&name, &text)
            .map_err(|error| error.within(format!("cannot parse template {}: ", quoted(&text))))?;
        self.run.context.memory(0)?;
        let main = templates.iter().find(|template| template.name == name).cloned();
        let Some(main) = main else { return Ok(Value::str("")) };
        let mut set = Set::over(self.set);
        set.add(templates.into_iter().filter(|template| template.name != name));
        set.put(main.clone());
        let data = Reflected::plain(arguments.value(1).clone());
        let printed = run_template(self.run, &set, &main, &data).map_err(|error| {
            error.within(format!("error during tpl function execution for {}: ", quoted(&text)))
        })?;
        Ok(Value::str(without_no_value(printed)))
    }
}

/// The output without Go's text for absent values, which helm removes.
pub(crate) fn without_no_value(printed: Vec<u8>) -> Vec<u8> {
    const WORDS: &[u8] = b"<no value>";
    if super::lexer::find(&printed, WORDS).is_none() {
        return printed;
    }
    let mut out = Vec::with_capacity(printed.len());
    let mut rest = &printed[..];
    while let Some(at) = super::lexer::find(rest, WORDS) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + WORDS.len()..];
    }
    out.extend_from_slice(rest);
    out
}

fn contains(text: &[u8], any: &[u8]) -> bool {
    text.iter().any(|byte| any.contains(byte))
}

fn quoted(text: &[u8]) -> String {
    String::from_utf8_lossy(&quote(text, false)).into_owned()
}
