//! Runs a template: walks its nodes and writes their output.

use std::collections::HashMap;

use super::node::{Branch, Name, NodeId, Template, TemplatePart, TemplateText};
use super::reflected::Reflected;
use super::set::Set;
use crate::helm::context::{OUTPUT_LIMIT, RenderContext};
use crate::helm::error::Error;
use crate::helm::go::print;
use crate::helm::go::quote::quote;
use crate::helm::value::{MapType, Str, Value};

/// The deepest nesting of running templates and of the parts of their expressions together.
const DEPTH: usize = 20_000;

/// The state that the templates of one render share while they run.
pub struct Run<'c, 'i> {
    /// The context of functions.
    pub context: &'c mut RenderContext<'i>,
    /// How often each template is being included at present.
    pub(super) included: HashMap<Str, usize>,
    pub(super) out: Vec<u8>,
    /// The number of bytes printed besides `out`: by templates that wait for an included one, and by finished
    /// files.
    held: usize,
    depth: usize,
}

impl<'c, 'i> Run<'c, 'i> {
    /// A run that has printed nothing yet.
    pub fn new(context: &'c mut RenderContext<'i>) -> Self {
        Self { context, included: HashMap::new(), out: Vec::new(), held: 0, depth: 0 }
    }
}

/// Runs the template of this name, and returns its output, which counts as held by the run from then on.
pub fn execute(run: &mut Run<'_, '_>, set: &Set<'_>, name: &Str, data: &Value) -> Result<Vec<u8>, Error> {
    let Some(template) = set.get(name) else {
        let name = String::from_utf8_lossy(&quote(name, false)).into_owned();
        let message = format!("template: no template {name} associated with template \"gotpl\"");
        return Err(Error::new(message));
    };
    let printed = run_template(run, set, template, &Reflected::plain(data.clone()))?;
    run.held += printed.len();
    Ok(printed)
}

/// Runs a template by itself.
pub(super) fn run_template(
    run: &mut Run<'_, '_>,
    set: &Set<'_>,
    template: &Template,
    data: &Reflected,
) -> Result<Vec<u8>, Error> {
    let before = std::mem::take(&mut run.out);
    run.held += before.len();
    let result = Exec::new(run, set, template, data.clone()).walk(data, template.root);
    run.held -= before.len();
    let printed = std::mem::replace(&mut run.out, before);
    result.map(|_| printed)
}

/// How a walk continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Next,
    Break,
    Continue,
}

/// One running template. The nodes, the set and the template outlive it.
pub(super) struct Exec<'e, 'c, 'i> {
    pub(super) run: &'e mut Run<'c, 'i>,
    pub(super) set: &'e Set<'e>,
    pub(super) template: &'e Template,
    pub(super) source: &'e TemplateText,
    /// The node that messages name: the one that was visited last.
    node: NodeId,
    vars: Vec<(Name, Reflected)>,
}

type Done<T> = Result<T, Error>;

impl<'e, 'c, 'i> Exec<'e, 'c, 'i> {
    fn new(run: &'e mut Run<'c, 'i>, set: &'e Set<'e>, template: &'e Template, data: Reflected) -> Self {
        let source = &template.source;
        Self { run, set, template, source, node: template.root, vars: vec![(0, data)] }
    }

    pub(super) fn at(&mut self, node: NodeId) {
        self.node = node;
    }

    /// An error at the node that was visited last.
    pub(super) fn error(&self, message: impl AsRef<str>) -> Error {
        Error::at_place(format!("{}{}", self.place(), message.as_ref()), None)
    }

    /// An error of a function at the node that was visited last.
    pub(super) fn error_of(&self, message: impl AsRef<str>, cause: Error) -> Error {
        Error::at_place(format!("{}{}", self.place(), message.as_ref()), Some(cause))
    }

    fn place(&self) -> String {
        let place = self.source.place(self.node);
        let name = quote(&self.template.name, false);
        let name = String::from_utf8_lossy(&name);
        format!("template: {place}: executing {name} at <{}>: ", self.source.written(self.node))
    }

    pub(super) fn fail<T>(&self, message: impl AsRef<str>) -> Done<T> {
        Err(self.error(message))
    }

    /// Counts a step, and a level of nesting until [`Exec::leave`].
    pub(super) fn enter(&mut self) -> Done<()> {
        self.run.depth += 1;
        if self.run.depth > DEPTH {
            let bound = Error::bound(format!("templates and their expressions nest more than {DEPTH} deep"));
            return Err(self.error_of("", bound));
        }
        let spent = self.run.context.spend(1);
        spent.map_err(|error| self.error_of("", error))
    }

    pub(super) fn leave(&mut self) {
        self.run.depth -= 1;
    }

    fn write(&mut self, bytes: &[u8]) -> Done<()> {
        let out = &mut self.run.out;
        let left = OUTPUT_LIMIT.saturating_sub(self.run.held + out.len());
        if bytes.len() > left {
            let limit = OUTPUT_LIMIT >> 20;
            let bound = Error::bound(format!("the templates print more than {limit} MiB"));
            return Err(self.error_of("", bound));
        }
        if out.capacity() - out.len() < bytes.len() {
            // The capacity doubles, but never exceeds the output limit.
            out.reserve_exact(out.len().clamp(bytes.len(), left));
        }
        out.extend_from_slice(bytes);
        Ok(())
    }

    pub(super) fn walk(&mut self, dot: &Reflected, id: NodeId) -> Done<Flow> {
        self.enter()?;
        self.at(id);
        let source = self.source;
        let flow = match source.part(id) {
            TemplatePart::Action(pipe) => {
                let value = self.pipeline(dot, *pipe)?;
                if !matches!(source.part(*pipe), TemplatePart::Pipe { declared, .. } if !declared.is_empty())
                {
                    self.print(id, &value)?;
                }
                Flow::Next
            }
            TemplatePart::Break => Flow::Break,
            TemplatePart::Continue => Flow::Continue,
            TemplatePart::Branch { kind: Branch::Range, pipe, list, otherwise } => {
                self.range(dot, *pipe, *list, *otherwise)?
            }
            TemplatePart::Branch { kind, pipe, list, otherwise } => {
                self.if_or_with(dot, *kind == Branch::With, (*pipe, *list, *otherwise))?
            }
            TemplatePart::List(nodes) => {
                let mut flow = Flow::Next;
                for node in nodes {
                    flow = self.walk(dot, *node)?;
                    if flow != Flow::Next {
                        break;
                    }
                }
                flow
            }
            TemplatePart::Template { name, pipe } => self.call_template(dot, name, *pipe)?,
            TemplatePart::Text(end) => {
                self.write(&source.text[source.node(id).pos..*end])?;
                Flow::Next
            }
            _ => return self.fail(format!("unknown node: {}", source.written(id))),
        };
        self.leave();
        Ok(flow)
    }

    fn if_or_with(
        &mut self,
        dot: &Reflected,
        is_with: bool,
        (pipe, list, otherwise): (NodeId, NodeId, Option<NodeId>),
    ) -> Done<Flow> {
        let mark = self.vars.len();
        let value = self.pipeline(dot, pipe)?;
        let flow = if value.value.truth() {
            self.walk(if is_with { &value } else { dot }, list)?
        } else if let Some(otherwise) = otherwise {
            self.walk(dot, otherwise)?
        } else {
            Flow::Next
        };
        self.vars.truncate(mark);
        Ok(flow)
    }

    fn call_template(&mut self, dot: &Reflected, name: &Str, pipe: Option<NodeId>) -> Done<Flow> {
        let Some(template) = self.set.get(name) else {
            let name = quote(name, false);
            return self.fail(format!("template {} not defined", String::from_utf8_lossy(&name)));
        };
        let data = match pipe {
            Some(pipe) => self.pipeline(dot, pipe)?,
            None => Reflected::invalid(),
        };
        let mut inner = Exec::new(self.run, self.set, template, data.clone());
        inner.walk(&data, template.root)?;
        Ok(Flow::Next)
    }

    fn print(&mut self, id: NodeId, value: &Reflected) -> Done<()> {
        self.at(id);
        match &value.value {
            Value::Str(text) => self.write(text),
            Value::Nil => self.write(b"<no value>"),
            other => {
                let printed = print::sprint(self.run.context, std::slice::from_ref(other));
                let printed = printed.map_err(|error| self.error_of("", error))?;
                self.write(&printed)
            }
        }
    }

    /// The result of a pipeline. Its variables are set, and stay until the end of the block.
    pub(super) fn pipeline(&mut self, dot: &Reflected, id: NodeId) -> Done<Reflected> {
        self.enter()?;
        self.at(id);
        let source = self.source;
        let TemplatePart::Pipe { is_assign, declared, commands } = source.part(id) else {
            return self.fail("not a pipeline");
        };
        let mut value = None;
        for command in commands {
            let next = self.command(dot, *command, value)?;
            // The value inside an interface is passed on.
            value = Some(Reflected::plain(next.value));
        }
        let value = value.unwrap_or_default();
        for variable in declared {
            let TemplatePart::Variable { name, .. } = source.part(*variable) else { continue };
            if *is_assign {
                self.set_var(*name, value.clone())?;
            } else {
                self.vars.push((*name, value.clone()));
            }
        }
        self.leave();
        Ok(value)
    }

    pub(super) fn var(&self, name: Name) -> Done<Reflected> {
        match self.vars.iter().rev().find(|(known, _)| *known == name) {
            Some((_, value)) => Ok(value.clone()),
            None => self.fail(format!("undefined variable: {}", self.source.name(name).lossy())),
        }
    }

    fn set_var(&mut self, name: Name, value: Reflected) -> Done<()> {
        if let Some((_, old)) = self.vars.iter_mut().rev().find(|(known, _)| *known == name) {
            *old = value;
            return Ok(());
        }
        self.fail(format!("undefined variable: {}", self.source.name(name).lossy()))
    }

    fn range(
        &mut self,
        dot: &Reflected,
        pipe: NodeId,
        list: NodeId,
        otherwise: Option<NodeId>,
    ) -> Done<Flow> {
        let before = self.vars.len();
        let value = self.pipeline(dot, pipe)?.value;
        let source = self.source;
        let TemplatePart::Pipe { is_assign, declared, .. } = source.part(pipe) else {
            return self.fail("not a pipeline");
        };
        let name = |at: usize| match declared.get(at).map(|id| source.part(*id)) {
            Some(TemplatePart::Variable { name, .. }) => Some(*name),
            _ => None,
        };
        let over = Loop { list, names: (name(0), name(1)), is_assign: *is_assign, mark: self.vars.len() };
        let any = self.turns(&over, &value)?;
        let flow = match otherwise {
            Some(otherwise) if !any => self.walk(dot, otherwise)?,
            _ => Flow::Next,
        };
        self.vars.truncate(before);
        Ok(flow)
    }

    /// Runs the body of a loop for each item; returns whether there was any.
    fn turns(&mut self, over: &Loop, value: &Value) -> Done<bool> {
        Ok(match value {
            Value::List(items) => {
                for (at, item) in items.items().iter().enumerate() {
                    let item = if items.of() == crate::helm::value::ListType::Any {
                        Reflected::held(item.clone())
                    } else {
                        Reflected::plain(item.clone())
                    };
                    if self.iterate(over, Reflected::plain(count(at)), &item)? {
                        break;
                    }
                }
                !items.items().is_empty()
            }
            Value::Bytes(bytes) => {
                for (at, byte) in bytes.iter().enumerate() {
                    let item = Reflected::plain(Value::Uint8(*byte));
                    if self.iterate(over, Reflected::plain(count(at)), &item)? {
                        break;
                    }
                }
                !bytes.is_empty()
            }
            Value::Map(map) => {
                let entries = map.entries();
                let in_interface = matches!(map.of(), MapType::Any | MapType::Values);
                let is_empty = entries.is_empty();
                for (key, value) in entries {
                    let item = Reflected { value, in_interface };
                    if self.iterate(over, Reflected::plain(Value::Str(key)), &item)? {
                        break;
                    }
                }
                !is_empty
            }
            Value::Nil => false,
            number => self.range_numbers(over, number)?,
        })
    }

    fn range_numbers(&mut self, over: &Loop, number: &Value) -> Done<bool> {
        let (most, make): (u64, fn(u64) -> Value) = match number {
            Value::Int(most) => (u64::try_from(*most).unwrap_or(0), |at| Value::Int(at.cast_signed())),
            Value::Int64(most) => (u64::try_from(*most).unwrap_or(0), |at| Value::Int64(at.cast_signed())),
            Value::Uint8(most) => (u64::from(*most), |at| Value::Uint8(u8::try_from(at).unwrap_or(u8::MAX))),
            Value::Uint64(most) => (*most, Value::Uint64),
            other => {
                let shown = print::sprint(self.run.context, std::slice::from_ref(other));
                let shown = shown.map_err(|error| self.error_of("", error))?;
                return self.fail(format!("range can't iterate over {}", String::from_utf8_lossy(&shown)));
            }
        };
        if over.names.1.is_some() {
            let shown = print::sprint(self.run.context, std::slice::from_ref(number));
            let shown = shown.map_err(|error| self.error_of("", error))?;
            let shown = String::from_utf8_lossy(&shown);
            return self.fail(format!("can't use {shown} to iterate over more than one variable"));
        }
        for at in 0..most {
            if self.iterate(over, Reflected::invalid(), &Reflected::plain(make(at)))? {
                break;
            }
        }
        Ok(most > 0)
    }

    /// One turn of a loop; true ends it.
    fn iterate(&mut self, over: &Loop, index: Reflected, item: &Reflected) -> Done<bool> {
        match over.names {
            (None, _) => {}
            (Some(first), second) if over.is_assign => {
                self.set_var(first, if second.is_some() { index } else { item.clone() })?;
                if let Some(second) = second {
                    self.set_var(second, item.clone())?;
                }
            }
            // The pipeline has pushed its variables: the last one is the item, the one before it the index.
            (Some(_), second) => {
                let top = over.mark;
                if let Some(slot) = self.vars.get_mut(top - 1) {
                    slot.1 = item.clone();
                }
                if second.is_some()
                    && let Some(slot) = self.vars.get_mut(top - 2)
                {
                    slot.1 = index;
                }
            }
        }
        let flow = self.walk(item, over.list)?;
        self.vars.truncate(over.mark);
        Ok(flow == Flow::Break)
    }
}

/// The parts that stay the same in all turns of a loop.
struct Loop {
    list: NodeId,
    names: (Option<Name>, Option<Name>),
    is_assign: bool,
    /// The number of variables before the body sets its own.
    mark: usize,
}

/// An index of a list, which is an `int`.
pub(super) fn count(number: usize) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}
