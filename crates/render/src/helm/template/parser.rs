//! Reads a template as `text/template/parse` does: with the same trees, and with the same messages if the
//! text is no template.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::lexer::{Item, Lexer, TokenKind};
use super::literal::unquote;
use super::node::{Branch, NodeId, Template, TemplatePart, TemplateText};
use crate::helm::error::Error;
use crate::helm::funcs;
use crate::helm::go::quote::quote;
use crate::helm::value::Str;

/// The deepest nesting of parentheses, as in Go.
const PARENTHESES: usize = 10_000;
/// The deepest nesting of blocks. Go has no such limit.
const BLOCKS: usize = 5_000;

/// The most nodes of a text. Go has no such limit.
const NODES: usize = 500_000;

/// Parses a text. The templates that it defines have their own names; the text itself is called `name`.
pub fn parse(name: &Str, text: &Str) -> Result<Vec<Template>, Error> {
    let mut parser = Parser {
        lexer: Lexer::new(text),
        source: TemplateText::new(name.clone(), text.clone()),
        tree: Tree::new(name.clone()),
        trees: BTreeMap::new(),
        depth: 0,
    };
    parser.parse()?;
    let Parser { source, trees, .. } = parser;
    let source = Rc::new(source);
    let template =
        |(name, root)| Template { name, source: Rc::clone(&source), root, is_empty: source.is_blank(root) };
    Ok(trees.into_iter().map(template).collect())
}

/// The state of one definition while it is parsed. All definitions of a text share the lexer.
struct Tree {
    name: Str,
    token: [Item; 3],
    peeked: usize,
    vars: Vec<Vec<u8>>,
    action_line: usize,
    range_depth: usize,
    parentheses: usize,
}

impl Tree {
    fn new(name: Str) -> Self {
        let none = Item { kind: TokenKind::Error, pos: 0, end: 0, line: 0, message: None };
        Self {
            name,
            token: [none.clone(), none.clone(), none],
            peeked: 0,
            vars: vec![b"$".to_vec()],
            action_line: 0,
            range_depth: 0,
            parentheses: 0,
        }
    }
}

struct Parser<'s> {
    lexer: Lexer<'s>,
    source: TemplateText,
    tree: Tree,
    trees: BTreeMap<Str, NodeId>,
    depth: usize,
}

type Parsed<T> = Result<T, Error>;

impl Parser<'_> {
    fn next(&mut self) -> Item {
        if self.tree.peeked > 0 {
            self.tree.peeked -= 1;
        } else {
            self.tree.token[0] = self.lexer.next_item();
        }
        self.tree.token[self.tree.peeked].clone()
    }

    fn backup(&mut self) {
        self.tree.peeked += 1;
    }

    fn backup2(&mut self, first: Item) {
        self.tree.token[1] = first;
        self.tree.peeked = 2;
    }

    fn backup3(&mut self, second: Item, first: Item) {
        self.tree.token[1] = first;
        self.tree.token[2] = second;
        self.tree.peeked = 3;
    }

    fn peek(&mut self) -> Item {
        if self.tree.peeked == 0 {
            self.tree.peeked = 1;
            self.tree.token[0] = self.lexer.next_item();
        }
        self.tree.token[self.tree.peeked - 1].clone()
    }

    fn next_non_space(&mut self) -> Item {
        loop {
            let item = self.next();
            if item.kind != TokenKind::Space {
                return item;
            }
        }
    }

    fn peek_non_space(&mut self) -> Item {
        let item = self.next_non_space();
        self.backup();
        item
    }

    fn value(&self, item: &Item) -> Vec<u8> {
        self.source.text[item.pos..item.end].to_vec()
    }

    fn error(&self, message: impl AsRef<str>) -> Error {
        let (name, line) = (self.source.name.lossy(), self.tree.token[0].line);
        Error::new(format!("template: {name}:{line}: {}", message.as_ref()))
    }

    fn fail<T>(&self, message: impl AsRef<str>) -> Parsed<T> {
        Err(self.error(message))
    }

    fn unexpected<T>(&self, item: &Item, context: &str) -> Parsed<T> {
        if item.kind == TokenKind::Error {
            let message = item.message.clone().unwrap_or_default();
            let started = self.tree.action_line;
            if started == 0 || started == item.line {
                return self.fail(message);
            }
            // The message must not end with "action in action".
            let within = if message.ends_with(" action") { "" } else { " in action" };
            let name = self.source.name.lossy();
            return self.fail(format!("{message}{within} started at {name}:{started}"));
        }
        self.fail(format!("unexpected {} in {context}", self.shown(item)))
    }

    /// A token in a message.
    fn shown(&self, item: &Item) -> String {
        let value = self.value(item);
        if item.kind == TokenKind::Eof {
            return "EOF".into();
        }
        if item.kind.is_keyword() {
            return format!("<{}>", String::from_utf8_lossy(&value));
        }
        let mut end = 0;
        for _ in 0..10 {
            end += crate::helm::go::unicode::decode(&value[end..]).map_or(0, |(_, width)| width);
        }
        let dots = if value.len() > 10 { "..." } else { "" };
        let shown = if value.len() > 10 { &value[..end] } else { &value };
        format!("{}{dots}", String::from_utf8_lossy(&quote(shown, false)))
    }

    fn expect(&mut self, kinds: &[TokenKind], context: &str) -> Parsed<Item> {
        let item = self.next_non_space();
        if kinds.contains(&item.kind) { Ok(item) } else { self.unexpected(&item, context) }
    }

    /// Adds the parsed tree under its name: a text may define each name with one body that is not blank.
    fn add_tree(&mut self, name: Str, root: NodeId) -> Parsed<()> {
        let has_body = self.trees.get(&name).is_some_and(|old| !self.source.is_blank(*old));
        if !has_body {
            self.trees.insert(name, root);
        } else if !self.source.is_blank(root) {
            let name = quote(&name, false);
            let name = String::from_utf8_lossy(&name);
            return self.fail(format!("template: multiple definition of template {name}"));
        }
        Ok(())
    }

    fn parse(&mut self) -> Parsed<()> {
        let pos = self.peek().pos;
        let mut nodes = Vec::new();
        while self.peek().kind != TokenKind::Eof {
            if self.peek().kind == TokenKind::LeftDelim {
                let delim = self.next();
                if self.next_non_space().kind == TokenKind::Define {
                    self.parse_definition()?;
                    continue;
                }
                self.backup2(delim);
            }
            let node = self.text_or_action()?;
            if matches!(self.source.part(node), TemplatePart::End | TemplatePart::Else) {
                return self.fail(format!("unexpected {}", self.source.written(node)));
            }
            nodes.push(node);
        }
        let root = self.source.add(pos, TemplatePart::List(nodes));
        let name = self.tree.name.clone();
        self.add_tree(name, root)
    }

    fn parse_definition(&mut self) -> Parsed<()> {
        let outer = std::mem::replace(&mut self.tree, Tree::new(Str::from("definition")));
        let context = "define clause";
        let name = self.expect(&[TokenKind::String, TokenKind::RawString], context)?;
        let name = self.unquoted(&name)?;
        self.expect(&[TokenKind::RightDelim], context)?;
        let (root, end) = self.item_list()?;
        if !matches!(self.source.part(end), TemplatePart::End) {
            return self.fail(format!("unexpected {} in {context}", self.source.written(end)));
        }
        self.add_tree(name, root)?;
        self.tree = outer;
        Ok(())
    }

    fn unquoted(&self, item: &Item) -> Parsed<Str> {
        match unquote(&self.source.text[item.pos..item.end]) {
            Some(text) => Ok(Str::from(text)),
            None => self.fail("invalid syntax"),
        }
    }

    /// A list, and the `{{end}}` or `{{else}}` behind it.
    fn item_list(&mut self) -> Parsed<(NodeId, NodeId)> {
        self.depth += 1;
        if self.depth > BLOCKS {
            return Err(Error::bound(self.error(format!("blocks nest more than {BLOCKS} deep")).text()));
        }
        let pos = self.peek_non_space().pos;
        let mut nodes = Vec::new();
        while self.peek_non_space().kind != TokenKind::Eof {
            let node = self.text_or_action()?;
            if matches!(self.source.part(node), TemplatePart::End | TemplatePart::Else) {
                self.depth -= 1;
                return Ok((self.source.add(pos, TemplatePart::List(nodes)), node));
            }
            nodes.push(node);
        }
        self.fail("unexpected EOF")
    }

    fn text_or_action(&mut self) -> Parsed<NodeId> {
        let item = self.next_non_space();
        if self.source.len() > NODES {
            return Err(Error::bound(self.error(format!("the text has more than {NODES} parts")).text()));
        }
        match item.kind {
            TokenKind::Text => Ok(self.source.add(item.pos, TemplatePart::Text(item.end))),
            TokenKind::LeftDelim => {
                self.tree.action_line = item.line;
                let action = self.action()?;
                self.tree.action_line = 0;
                Ok(action)
            }
            _ => self.unexpected(&item, "input"),
        }
    }

    fn action(&mut self) -> Parsed<NodeId> {
        let item = self.next_non_space();
        match item.kind {
            TokenKind::Block => self.block(),
            TokenKind::Break | TokenKind::Continue => self.jump(&item),
            TokenKind::Else => self.otherwise(),
            TokenKind::End => {
                let end = self.expect(&[TokenKind::RightDelim], "end")?;
                Ok(self.source.add(end.pos, TemplatePart::End))
            }
            TokenKind::If => self.branch(Branch::If),
            TokenKind::Range => self.branch(Branch::Range),
            TokenKind::Template => self.template(),
            TokenKind::With => self.branch(Branch::With),
            _ => {
                self.backup();
                let pos = self.peek().pos;
                let pipe = self.pipeline("command", TokenKind::RightDelim)?;
                Ok(self.source.add(pos, TemplatePart::Action(pipe)))
            }
        }
    }

    fn jump(&mut self, word: &Item) -> Parsed<NodeId> {
        let (shown, part) = match word.kind {
            TokenKind::Break => ("{{break}}", TemplatePart::Break),
            _ => ("{{continue}}", TemplatePart::Continue),
        };
        let item = self.next_non_space();
        if item.kind != TokenKind::RightDelim {
            return self.unexpected(&item, shown);
        }
        if self.tree.range_depth == 0 {
            return self.fail(format!("{shown} outside {{{{range}}}}"));
        }
        Ok(self.source.add(word.pos, part))
    }

    fn branch(&mut self, kind: Branch) -> Parsed<NodeId> {
        let vars = self.tree.vars.len();
        let pipe = self.pipeline(kind.word(), TokenKind::RightDelim)?;
        let is_range = kind == Branch::Range;
        self.tree.range_depth += usize::from(is_range);
        let (list, next) = self.item_list()?;
        self.tree.range_depth -= usize::from(is_range);
        let mut otherwise = None;
        if matches!(self.source.part(next), TemplatePart::Else) {
            let word = match kind {
                Branch::If => Some(TokenKind::If),
                Branch::With => Some(TokenKind::With),
                Branch::Range => None,
            };
            if word.is_some_and(|word| self.peek().kind == word) {
                // `{{else if}}` is an `if` inside the `else`, and one `{{end}}` closes both.
                self.next();
                let pos = self.source.node(next).pos;
                self.depth += 1;
                if self.depth > BLOCKS {
                    let error = self.error(format!("blocks nest more than {BLOCKS} deep"));
                    return Err(Error::bound(error.text()));
                }
                let inner = self.branch(kind)?;
                self.depth -= 1;
                otherwise = Some(self.source.add(pos, TemplatePart::List(vec![inner])));
            } else {
                let (list, end) = self.item_list()?;
                if !matches!(self.source.part(end), TemplatePart::End) {
                    return self.fail(format!("expected end; found {}", self.source.written(end)));
                }
                otherwise = Some(list);
            }
        }
        self.tree.vars.truncate(vars);
        let pos = self.source.node(pipe).pos;
        Ok(self.source.add(pos, TemplatePart::Branch { kind, pipe, list, otherwise }))
    }

    fn otherwise(&mut self) -> Parsed<NodeId> {
        let peeked = self.peek_non_space();
        if matches!(peeked.kind, TokenKind::If | TokenKind::With) {
            return Ok(self.source.add(peeked.pos, TemplatePart::Else));
        }
        let item = self.expect(&[TokenKind::RightDelim], "else")?;
        Ok(self.source.add(item.pos, TemplatePart::Else))
    }

    fn block(&mut self) -> Parsed<NodeId> {
        let context = "block clause";
        let item = self.next_non_space();
        let name = self.template_name(&item, context)?;
        let pipe = self.pipeline(context, TokenKind::RightDelim)?;
        let outer = std::mem::replace(&mut self.tree, Tree::new(name.clone()));
        let (root, end) = self.item_list()?;
        let is_end = matches!(self.source.part(end), TemplatePart::End);
        let inner = std::mem::replace(&mut self.tree, outer);
        if !is_end {
            return self.fail(format!("unexpected {} in {context}", self.source.written(end)));
        }
        let outer = std::mem::replace(&mut self.tree, inner);
        self.add_tree(name.clone(), root)?;
        self.tree = outer;
        Ok(self.source.add(item.pos, TemplatePart::Template { name, pipe: Some(pipe) }))
    }

    fn template(&mut self) -> Parsed<NodeId> {
        let context = "template clause";
        let item = self.next_non_space();
        let name = self.template_name(&item, context)?;
        let mut pipe = None;
        if self.next_non_space().kind != TokenKind::RightDelim {
            self.backup();
            pipe = Some(self.pipeline(context, TokenKind::RightDelim)?);
        }
        Ok(self.source.add(item.pos, TemplatePart::Template { name, pipe }))
    }

    fn template_name(&mut self, item: &Item, context: &str) -> Parsed<Str> {
        match item.kind {
            TokenKind::String | TokenKind::RawString => self.unquoted(item),
            _ => self.unexpected(item, context),
        }
    }
}

mod pipeline;
