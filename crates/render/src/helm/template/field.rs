//! Fields: keys of maps, fields and methods of values, and the effect of nil on them.

use super::exec::Exec;
use super::node::{NodeId, TemplatePart};
use super::reflected::Reflected;
use crate::helm::error::Error;
use crate::helm::value::{Args, Signature, Type};
use crate::helm::value::{GoKind, ListType, MapType, Str, Value};

/// A method of a value.
pub(super) struct Method {
    pub(super) receiver: Value,
    pub(super) signature: Signature,
}

/// The methods of maps and slices with a named type. Objects define their own methods.
const METHODS: [(Named, &str, Signature); 11] = [
    (Named::Values, "AsMap", Signature { fixed: &[], rest: None }),
    (Named::Values, "Encode", Signature { fixed: &[Type::Object("io.Writer")], rest: None }),
    (Named::Values, "PathValue", Signature { fixed: &[Type::String], rest: None }),
    (Named::Values, "Table", Signature { fixed: &[Type::String], rest: None }),
    (Named::Values, "YAML", Signature { fixed: &[], rest: None }),
    (Named::Files, "AsConfig", Signature { fixed: &[], rest: None }),
    (Named::Files, "AsSecrets", Signature { fixed: &[], rest: None }),
    (Named::Files, "Get", Signature { fixed: &[Type::String], rest: None }),
    (Named::Files, "GetBytes", Signature { fixed: &[Type::String], rest: None }),
    (Named::Files, "Glob", Signature { fixed: &[Type::String], rest: None }),
    (Named::Files, "Lines", Signature { fixed: &[Type::String], rest: None }),
];

/// `common.VersionSet.Has`
const HAS: Signature = Signature { fixed: &[Type::String], rest: None };

#[derive(PartialEq, Eq)]
enum Named {
    Values,
    Files,
}

fn method(receiver: &Value, name: &str) -> Option<Signature> {
    let named = match receiver {
        Value::Object(object) => return object.method(name),
        Value::List(list) => return (list.of() == ListType::VersionSet && name == "Has").then_some(HAS),
        Value::Map(map) if map.of() == MapType::Values => Named::Values,
        Value::Map(map) if map.of() == MapType::Files => Named::Files,
        _ => return None,
    };
    METHODS.iter().find(|(of, known, _)| *of == named && *known == name).map(|(_, _, signature)| *signature)
}

impl Exec<'_, '_, '_> {
    /// The result of `.a.b.c`, with arguments for the last part.
    pub(super) fn field_chain(
        &mut self,
        dot: &Reflected,
        mut receiver: Reflected,
        node: NodeId,
        fields: &[Str],
        arguments: Option<&[NodeId]>,
        last: Option<Reflected>,
    ) -> Result<Reflected, Error> {
        let Some((end, before)) = fields.split_last() else { return Ok(receiver) };
        for field in before {
            receiver = self.field(dot, field, node, None, None, receiver)?;
        }
        self.field(dot, end, node, arguments, last, receiver)
    }

    fn field(
        &mut self,
        dot: &Reflected,
        name: &Str,
        node: NodeId,
        arguments: Option<&[NodeId]>,
        last: Option<Reflected>,
        receiver: Reflected,
    ) -> Result<Reflected, Error> {
        if !receiver.is_valid() {
            return Ok(receiver);
        }
        let type_name = receiver.type_name();
        let shown = name.lossy();
        if receiver.value.is_nil() {
            return self.fail(format!("nil pointer evaluating {type_name}.{shown}"));
        }
        if let Some(signature) = method(&receiver.value, &shown) {
            let method = Method { receiver: receiver.value, signature };
            return self.call_method(dot, &method, node, &shown, arguments, last);
        }
        let has_arguments = arguments.is_some_and(|all| all.len() > 1) || last.is_some();
        match &receiver.value {
            Value::Object(object) if matches!(object.kind(), GoKind::Struct | GoKind::Ptr) => {
                let field = object.fields().into_iter().find(|(known, _)| **known == *shown);
                if let Some((_, value)) = field {
                    if has_arguments {
                        let message = format!("{shown} has arguments but cannot be invoked as function");
                        return self.fail(message);
                    }
                    return Ok(Reflected::plain(value));
                }
                if object.shown().iter().any(|(known, _)| **known == *shown) {
                    let message = format!("{shown} is an unexported field of struct type {type_name}");
                    return self.fail(message);
                }
            }
            Value::Map(map) => {
                if has_arguments {
                    return self.fail(format!("{shown} is not a method but has arguments"));
                }
                return Ok(element(map.of(), map.get(name)));
            }
            _ => {}
        }
        self.fail(format!("can't evaluate field {shown} in type {type_name}"))
    }

    pub(super) fn field_node(
        &mut self,
        dot: &Reflected,
        id: NodeId,
        arguments: Option<&[NodeId]>,
        last: Option<Reflected>,
    ) -> Result<Reflected, Error> {
        self.at(id);
        let source = self.source;
        let TemplatePart::Field(fields) = source.part(id) else { return self.fail("not a field") };
        self.field_chain(dot, dot.clone(), id, fields, arguments, last)
    }

    pub(super) fn variable_node(
        &mut self,
        dot: &Reflected,
        id: NodeId,
        arguments: Option<&[NodeId]>,
        last: Option<Reflected>,
    ) -> Result<Reflected, Error> {
        self.at(id);
        let source = self.source;
        let TemplatePart::Variable { name, fields } = source.part(id) else {
            return self.fail("not a variable");
        };
        let value = self.var(*name)?;
        if fields.is_empty() {
            self.not_a_function(arguments, last.as_ref())?;
            return Ok(value);
        }
        self.field_chain(dot, value, id, fields, arguments, last)
    }

    pub(super) fn chain_node(
        &mut self,
        dot: &Reflected,
        id: NodeId,
        arguments: Option<&[NodeId]>,
        last: Option<Reflected>,
    ) -> Result<Reflected, Error> {
        self.at(id);
        let source = self.source;
        let TemplatePart::Chain { node, fields } = source.part(id) else { return self.fail("not a chain") };
        self.at(*node);
        let receiver = match source.part(*node) {
            TemplatePart::Pipe { .. } => self.pipeline(dot, *node)?,
            TemplatePart::Identifier { .. } => self.identifier(dot, *node, *node, None, None)?,
            _ => return self.fail(format!("can't handle {} for arg of type <nil>", source.written(*node))),
        };
        self.field_chain(dot, receiver, id, fields, arguments, last)
    }

    /// Calls a method whose arguments were checked.
    pub(super) fn run_method(
        &mut self,
        method: &Method,
        name: &str,
        values: &[Value],
    ) -> Result<Value, Error> {
        let arguments = Args::new(values);
        match &method.receiver {
            Value::Object(object) => object.call(name, arguments, self.run.context),
            Value::List(list) => {
                let wanted = arguments.bytes(0);
                let found =
                    list.items().iter().any(|item| item.as_str().is_some_and(|item| item.bytes() == wanted));
                Ok(Value::Bool(found))
            }
            Value::Map(map) if map.of() == MapType::Files => {
                crate::helm::chart::files::call(map, name, arguments, self.run.context)
            }
            Value::Map(map) => crate::helm::values::methods::call(map, name, arguments, self.run.context),
            _ => Err(Error::new(format!("no method {name}"))),
        }
    }
}

/// A value of a map; if the key is missing, the zero value of the map's element type.
pub(super) fn element(of: MapType, value: Option<Value>) -> Reflected {
    match (of, value) {
        (MapType::Any | MapType::Values, value) => Reflected::held(value.unwrap_or_default()),
        (_, Some(value)) => Reflected::plain(value),
        (MapType::Strings, None) => Reflected::plain(Value::str("")),
        (MapType::Files, None) => Reflected::plain(Value::Bytes([].into())),
    }
}
