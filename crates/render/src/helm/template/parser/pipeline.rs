//! Pipelines, commands and their operands.

use super::super::literal::{Number, unquote};
use super::{Error, Item, NodeId, PARENTHESES, Parsed, Parser, Str, TemplatePart, TokenKind, funcs};
use crate::helm::go::quote::quote;

impl Parser<'_> {
    pub(super) fn pipeline(&mut self, context: &str, end: TokenKind) -> Parsed<NodeId> {
        let pos = self.peek_non_space().pos;
        let mut declared = Vec::new();
        let is_assign = self.declarations(context, &mut declared)?;
        let mut commands = Vec::new();
        loop {
            let item = self.next_non_space();
            match item.kind {
                kind if kind == end => {
                    self.check_pipeline(&commands, context)?;
                    return Ok(self.source.add(pos, TemplatePart::Pipe { is_assign, declared, commands }));
                }
                TokenKind::Bool
                | TokenKind::CharConstant
                | TokenKind::Complex
                | TokenKind::Dot
                | TokenKind::Field
                | TokenKind::Identifier
                | TokenKind::Number
                | TokenKind::Nil
                | TokenKind::RawString
                | TokenKind::String
                | TokenKind::Variable
                | TokenKind::LeftParen => {
                    self.backup();
                    commands.push(self.command()?);
                }
                _ => return self.unexpected(&item, context),
            }
        }
    }

    /// The variables that the pipeline sets, and whether it only assigns to existing ones.
    fn declarations(&mut self, context: &str, declared: &mut Vec<NodeId>) -> Parsed<bool> {
        loop {
            let variable = self.peek_non_space();
            if variable.kind != TokenKind::Variable {
                return Ok(false);
            }
            self.next();
            // Only "foo" shows that "$x foo" is no declaration, so the space is put back as well.
            let after = self.peek();
            let next = self.peek_non_space();
            let is_comma = next.kind == TokenKind::Char && self.value(&next) == b",";
            if matches!(next.kind, TokenKind::Assign | TokenKind::Declare) || is_comma {
                self.next_non_space();
                let name = self.value(&variable);
                declared.push(self.variable(variable.pos, &name));
                self.tree.vars.push(name);
                if !is_comma {
                    return Ok(next.kind == TokenKind::Assign);
                }
                if context == "range" && declared.len() < 2 {
                    match self.peek_non_space().kind {
                        TokenKind::Variable | TokenKind::RightDelim | TokenKind::RightParen => continue,
                        _ => return self.fail("range can only initialize variables"),
                    }
                }
                return self.fail(format!("too many declarations in {context}"));
            }
            if after.kind == TokenKind::Space {
                self.backup3(variable, after);
            } else {
                self.backup2(variable);
            }
            return Ok(false);
        }
    }

    fn check_pipeline(&self, commands: &[NodeId], context: &str) -> Parsed<()> {
        if commands.is_empty() {
            return self.fail(format!("missing value for {context}"));
        }
        for (at, command) in commands.iter().enumerate().skip(1) {
            let TemplatePart::Command(arguments) = self.source.part(*command) else { continue };
            let first = arguments.first().map(|first| self.source.part(*first));
            if matches!(
                first,
                Some(
                    TemplatePart::Bool(_)
                        | TemplatePart::Dot
                        | TemplatePart::Nil
                        | TemplatePart::Number { .. }
                        | TemplatePart::String { .. }
                )
            ) {
                return self.fail(format!("non executable command in pipeline stage {}", at + 1));
            }
        }
        Ok(())
    }

    fn command(&mut self) -> Parsed<NodeId> {
        let pos = self.peek_non_space().pos;
        let mut arguments = Vec::new();
        loop {
            self.peek_non_space();
            if let Some(operand) = self.operand()? {
                arguments.push(operand);
            }
            let item = self.next();
            match item.kind {
                TokenKind::Space => continue,
                TokenKind::RightDelim | TokenKind::RightParen => self.backup(),
                TokenKind::Pipe => {}
                _ => return self.unexpected(&item, "operand"),
            }
            break;
        }
        if arguments.is_empty() {
            return self.fail("empty command");
        }
        Ok(self.source.add(pos, TemplatePart::Command(arguments)))
    }

    /// A term and the fields behind it; `None` if no term begins here.
    fn operand(&mut self) -> Parsed<Option<NodeId>> {
        let Some(node) = self.term()? else { return Ok(None) };
        let first = self.peek();
        if first.kind != TokenKind::Field {
            return Ok(Some(node));
        }
        let mut more = Vec::new();
        while self.peek().kind == TokenKind::Field {
            let item = self.next();
            more.push(Str::from(&self.source.text[item.pos + 1..item.end]));
        }
        // Go creates a new node for a field or variable with more fields, at the place of the second field.
        match &mut self.source.node_mut(node).part {
            TemplatePart::Field(fields) | TemplatePart::Variable { fields, .. } => {
                fields.extend(more);
                self.source.node_mut(node).pos = first.pos;
                Ok(Some(node))
            }
            TemplatePart::Bool(_)
            | TemplatePart::String { .. }
            | TemplatePart::Number { .. }
            | TemplatePart::Nil
            | TemplatePart::Dot => {
                let term = quote(self.source.written(node).as_bytes(), false);
                self.fail(format!("unexpected . after term {}", String::from_utf8_lossy(&term)))
            }
            _ => Ok(Some(self.source.add(first.pos, TemplatePart::Chain { node, fields: more }))),
        }
    }

    fn term(&mut self) -> Parsed<Option<NodeId>> {
        let item = self.next_non_space();
        let part = match item.kind {
            TokenKind::Identifier => {
                let name = self.value(&item);
                let known = std::str::from_utf8(&name).ok().and_then(funcs::callee);
                let Some(callee) = known else {
                    let name = quote(&name, false);
                    return self.fail(format!("function {} not defined", String::from_utf8_lossy(&name)));
                };
                TemplatePart::Identifier { name: Str::from(name), callee }
            }
            TokenKind::Dot => TemplatePart::Dot,
            TokenKind::Nil => TemplatePart::Nil,
            TokenKind::Variable => return self.use_variable(&item).map(Some),
            TokenKind::Field => {
                TemplatePart::Field(vec![Str::from(&self.source.text[item.pos + 1..item.end])])
            }
            TokenKind::Bool => TemplatePart::Bool(self.value(&item) == b"true"),
            TokenKind::CharConstant | TokenKind::Complex | TokenKind::Number => self.number(&item)?,
            TokenKind::LeftParen => return self.parenthesized().map(Some),
            TokenKind::String | TokenKind::RawString => {
                let quoted = self.value(&item);
                let Some(text) = unquote(&quoted) else { return self.fail("invalid syntax") };
                TemplatePart::String { quoted: Str::from(quoted), text: Str::from(text) }
            }
            _ => {
                self.backup();
                return Ok(None);
            }
        };
        Ok(Some(self.source.add(item.pos, part)))
    }

    fn parenthesized(&mut self) -> Parsed<NodeId> {
        if self.tree.parentheses >= PARENTHESES {
            return Err(Error::bound(self.error("max expression depth exceeded").text()));
        }
        self.tree.parentheses += 1;
        let pipe = self.pipeline("parenthesized pipeline", TokenKind::RightParen)?;
        self.tree.parentheses -= 1;
        Ok(pipe)
    }

    fn number(&mut self, item: &Item) -> Parsed<TemplatePart> {
        let text = self.value(item);
        let number = match item.kind {
            TokenKind::CharConstant => Number::of_char(&text),
            TokenKind::Complex => Number::of_complex(&text),
            _ => Number::of_text(&text),
        };
        match number {
            Ok(number) => Ok(TemplatePart::Number { text: Str::from(text), number: Box::new(number) }),
            Err(message) => self.fail(message),
        }
    }

    fn variable(&mut self, pos: usize, name: &[u8]) -> NodeId {
        let name = self.source.intern(name);
        self.source.add(pos, TemplatePart::Variable { name, fields: Vec::new() })
    }

    fn use_variable(&mut self, item: &Item) -> Parsed<NodeId> {
        let name = self.value(item);
        if !self.tree.vars.contains(&name) {
            let name = quote(&name, false);
            return self.fail(format!("undefined variable {}", String::from_utf8_lossy(&name)));
        }
        Ok(self.variable(item.pos, &name))
    }
}
