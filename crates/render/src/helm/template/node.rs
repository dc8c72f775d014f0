//! A parsed template, and how its parts are written in messages.

use std::rc::Rc;

use super::literal::Number;
use crate::helm::funcs::Callee;
use crate::helm::go::quote::quote;
use crate::helm::value::{Str, grow, shrink};

/// The approximate size of a node, in bytes.
const NODE: usize = 128;

/// The index of a part of a [`TemplateText`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NodeId(u32);

/// The index of a variable's name in a [`TemplateText`].
pub(super) type Name = u32;

/// One parsed text: a file of a chart, or an argument of `tpl`. It contains the templates that it defines.
#[derive(Debug)]
pub(super) struct TemplateText {
    /// The text's name in messages: a file's path in the chart, or `gotpl` for `tpl`.
    pub(super) name: Str,
    pub(super) text: Str,
    nodes: Vec<TemplateNode>,
    names: Vec<Str>,
}

/// A template: a name and its body.
#[derive(Debug, Clone)]
pub struct Template {
    /// Its name.
    pub name: Str,
    /// The text that contains it.
    pub(super) source: Rc<TemplateText>,
    /// The list that is its body.
    pub(super) root: NodeId,
    /// Whether it contains only space.
    pub(super) is_empty: bool,
}

#[derive(Debug)]
pub(super) struct TemplateNode {
    /// The place of its first byte in the text.
    pub(super) pos: usize,
    pub(super) part: TemplatePart,
}

/// One of the three: they are parsed and printed alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Branch {
    If,
    Range,
    With,
}

impl Branch {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::If => "if",
            Self::Range => "range",
            Self::With => "with",
        }
    }
}

#[derive(Debug)]
pub(super) enum TemplatePart {
    List(Vec<NodeId>),
    /// A stretch of the text, by its end.
    Text(usize),
    Action(NodeId),
    Branch {
        kind: Branch,
        pipe: NodeId,
        list: NodeId,
        otherwise: Option<NodeId>,
    },
    Template {
        name: Str,
        pipe: Option<NodeId>,
    },
    Break,
    Continue,
    Pipe {
        is_assign: bool,
        /// The nodes of the variables.
        declared: Vec<NodeId>,
        commands: Vec<NodeId>,
    },
    /// The first argument decides its kind.
    Command(Vec<NodeId>),
    Identifier {
        name: Str,
        callee: Callee,
    },
    Variable {
        name: Name,
        fields: Vec<Str>,
    },
    Dot,
    Nil,
    Field(Vec<Str>),
    Chain {
        node: NodeId,
        fields: Vec<Str>,
    },
    Bool(bool),
    Number {
        text: Str,
        number: Box<Number>,
    },
    String {
        quoted: Str,
        text: Str,
    },
    /// `{{end}}`, which is never part of a parsed template.
    End,
    /// `{{else}}`, which is never part of a parsed template.
    Else,
}

impl TemplateText {
    pub(super) fn new(name: Str, text: Str) -> Self {
        Self { name, text, nodes: Vec::new(), names: vec![Str::from("$")] }
    }

    pub(super) fn add(&mut self, pos: usize, part: TemplatePart) -> NodeId {
        let id = NodeId(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        grow(NODE);
        self.nodes.push(TemplateNode { pos, part });
        id
    }

    /// How many nodes there are.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn node(&self, id: NodeId) -> &TemplateNode {
        &self.nodes[id.0 as usize]
    }

    pub(super) fn part(&self, id: NodeId) -> &TemplatePart {
        &self.node(id).part
    }

    pub(super) fn node_mut(&mut self, id: NodeId) -> &mut TemplateNode {
        &mut self.nodes[id.0 as usize]
    }

    /// The index of a name: equal names of one source have equal indexes.
    pub(super) fn intern(&mut self, name: &[u8]) -> Name {
        let at = self.names.iter().position(|known| known.bytes() == name).unwrap_or_else(|| {
            self.names.push(Str::from(name));
            self.names.len() - 1
        });
        u32::try_from(at).unwrap_or(u32::MAX)
    }

    pub(super) fn name(&self, name: Name) -> &Str {
        &self.names[name as usize]
    }

    /// `file:line:column` of a node.
    pub(super) fn place(&self, id: NodeId) -> String {
        let before = &self.text[..self.node(id).pos.min(self.text.len())];
        let line = 1 + memchr::memchr_iter(b'\n', before).count();
        let column =
            before.iter().rposition(|byte| *byte == b'\n').map_or(before.len(), |at| before.len() - at - 1);
        format!("{}:{line}:{column}", self.name.lossy())
    }

    /// Whether a list contains only space.
    pub(super) fn is_blank(&self, id: NodeId) -> bool {
        match self.part(id) {
            TemplatePart::List(nodes) => nodes.iter().all(|node| self.is_blank(*node)),
            TemplatePart::Text(end) => {
                let text = &self.text[self.node(id).pos..*end];
                text.iter().all(u8::is_ascii_whitespace) || String::from_utf8_lossy(text).trim().is_empty()
            }
            _ => false,
        }
    }

    /// The node in Go's notation, which is not that of the text.
    pub(super) fn written(&self, id: NodeId) -> String {
        let mut out = Vec::new();
        self.write(id, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    fn write(&self, id: NodeId, out: &mut Vec<u8>) {
        match self.part(id) {
            TemplatePart::List(nodes) => nodes.iter().for_each(|node| self.write(*node, out)),
            TemplatePart::Text(end) => out.extend_from_slice(&self.text[self.node(id).pos..*end]),
            TemplatePart::Action(pipe) => {
                out.extend_from_slice(b"{{");
                self.write(*pipe, out);
                out.extend_from_slice(b"}}");
            }
            TemplatePart::Branch { kind, pipe, list, otherwise } => {
                out.extend_from_slice(format!("{{{{{} ", kind.word()).as_bytes());
                self.write(*pipe, out);
                out.extend_from_slice(b"}}");
                self.write(*list, out);
                if let Some(otherwise) = otherwise {
                    out.extend_from_slice(b"{{else}}");
                    self.write(*otherwise, out);
                }
                out.extend_from_slice(b"{{end}}");
            }
            TemplatePart::Template { name, pipe } => {
                out.extend_from_slice(b"{{template ");
                out.extend_from_slice(&quote(name, false));
                if let Some(pipe) = pipe {
                    out.push(b' ');
                    self.write(*pipe, out);
                }
                out.extend_from_slice(b"}}");
            }
            TemplatePart::Pipe { is_assign, declared, commands } => {
                self.join(declared, b", ", out);
                if !declared.is_empty() {
                    out.extend_from_slice(if *is_assign { b" = " } else { b" := " });
                }
                self.join(commands, b" | ", out);
            }
            TemplatePart::Command(arguments) => self.write_command(arguments, out),
            TemplatePart::Chain { node, fields } => {
                self.write_operand(*node, out);
                write_fields(fields, out);
            }
            TemplatePart::Variable { name, fields } => {
                out.extend_from_slice(self.name(*name));
                write_fields(fields, out);
            }
            TemplatePart::Field(fields) => write_fields(fields, out),
            TemplatePart::Identifier { name: text, .. }
            | TemplatePart::Number { text, .. }
            | TemplatePart::String { quoted: text, .. } => out.extend_from_slice(text),
            other => out.extend_from_slice(other.word().as_bytes()),
        }
    }

    fn join(&self, nodes: &[NodeId], between: &[u8], out: &mut Vec<u8>) {
        for (at, node) in nodes.iter().enumerate() {
            if at > 0 {
                out.extend_from_slice(between);
            }
            self.write(*node, out);
        }
    }

    fn write_command(&self, arguments: &[NodeId], out: &mut Vec<u8>) {
        for (at, argument) in arguments.iter().enumerate() {
            if at > 0 {
                out.push(b' ');
            }
            self.write_operand(*argument, out);
        }
    }

    /// A pipeline inside a command has parentheses.
    fn write_operand(&self, id: NodeId, out: &mut Vec<u8>) {
        let is_pipe = matches!(self.part(id), TemplatePart::Pipe { .. });
        if is_pipe {
            out.push(b'(');
        }
        self.write(id, out);
        if is_pipe {
            out.push(b')');
        }
    }
}

impl Drop for TemplateText {
    fn drop(&mut self) {
        shrink(NODE * self.nodes.len());
    }
}

impl TemplatePart {
    /// The notation of a part without parts of its own.
    fn word(&self) -> &'static str {
        match self {
            Self::Break => "{{break}}",
            Self::Continue => "{{continue}}",
            Self::Dot => ".",
            Self::Nil => "nil",
            Self::Bool(true) => "true",
            Self::Bool(false) => "false",
            Self::End => "{{end}}",
            Self::Else => "{{else}}",
            _ => "",
        }
    }
}

fn write_fields(fields: &[Str], out: &mut Vec<u8>) {
    for field in fields {
        out.push(b'.');
        out.extend_from_slice(field);
    }
}
