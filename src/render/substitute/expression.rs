//! The syntax of envsubst: text with `${name}` and the operators that may follow the name.
//!
//! This is the scanner of fluxcd/pkg/envsubst, step by step, because its corners are what users' text depends on: `$$` is
//! an escape in plain text but not in a default, a lone `$` is text, the first `}` ends an expression.

use std::fmt;

/// How deep expressions may nest in each other's arguments.
const DEPTH_LIMIT: usize = 50;

/// A piece of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Text(String),
    Call { name: String, operator: Operator, arguments: Vec<Node> },
}

/// What is done with a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    /// `${A}`
    Value,
    /// `${A=x}`, `${A:=x}`, `${A:-x}`, and, as Flux has it, `${A:+x}` and `${A:?x}`.
    Default,
    /// `${#A}`
    Length,
    /// `${A^}`
    UpperFirst,
    /// `${A^^}`
    Upper,
    /// `${A,}`
    LowerFirst,
    /// `${A,,}`
    Lower,
    /// `${A:1}` and `${A:1:2}`
    Substring,
    /// `${A/x/y}`
    ReplaceFirst,
    /// `${A//x/y}`
    ReplaceAll,
    /// `${A/#x/y}`
    ReplacePrefix,
    /// `${A/%x/y}`
    ReplaceSuffix,
    /// `${A#x}`
    TrimShortestPrefix,
    /// `${A##x}`
    TrimLongestPrefix,
    /// `${A%x}`
    TrimShortestSuffix,
    /// `${A%%x}`
    TrimLongestSuffix,
}

/// Why a text cannot be parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyntaxError {
    /// No `}` where one has to be.
    MissingClosingBrace,
    /// No name behind `${`.
    VariableName,
    /// An operator without what it needs.
    BadSubstitution,
    /// An argument that is missing or does not end.
    Argument,
    /// Too many expressions inside each other.
    TooDeep,
}

impl Operator {
    /// Whether a variable that is not defined is no error.
    pub(super) const fn gives_default(self) -> bool {
        matches!(self, Self::Default)
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MissingClosingBrace => "missing closing brace",
            Self::VariableName => "unable to parse variable name",
            Self::BadSubstitution => "bad substitution",
            Self::Argument => "unable to parse substitution within function",
            Self::TooDeep => "expressions are nested too deep",
        })
    }
}

/// Parses a whole text.
pub(super) fn parse(text: &str) -> Result<Vec<Node>, SyntaxError> {
    let mut scanner = Scanner { text, at: 0 };
    let mut nodes = Vec::new();
    loop {
        if scanner.opens() {
            nodes.push(scanner.call(0)?);
            continue;
        }
        let piece = scanner.take(|_| true, Escapes::Dollar);
        if piece.is_empty() {
            return Ok(nodes);
        }
        nodes.push(Node::Text(piece));
    }
}

/// What a doubled character stands for itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Escapes {
    None,
    Dollar,
    /// Also a backslash before a slash or backslash.
    All,
}

struct Scanner<'t> {
    text: &'t str,
    at: usize,
}

impl Scanner<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn opens(&mut self) -> bool {
        self.skip("${")
    }

    /// Text up to an expression, or to a character that is not accepted.
    fn take(&mut self, accept: impl Fn(char) -> bool, escapes: Escapes) -> String {
        let mut taken = String::new();
        while !self.rest().starts_with("${") {
            let Some(c) = self.peek() else { break };
            if self.is_escape(escapes) {
                // Both characters are ASCII; the second is taken, whatever it would mean.
                taken.push_str(&self.text[self.at + 1..self.at + 2]);
                self.at += 2;
            } else if accept(c) {
                taken.push(c);
                self.at += c.len_utf8();
            } else {
                break;
            }
        }
        taken
    }

    fn is_escape(&self, escapes: Escapes) -> bool {
        match escapes {
            Escapes::None => false,
            Escapes::Dollar => self.rest().starts_with("$$"),
            Escapes::All => ["$$", r"\/", r"\\"].iter().any(|pair| self.rest().starts_with(pair)),
        }
    }

    /// An expression, behind its `${`.
    fn call(&mut self, depth: usize) -> Result<Node, SyntaxError> {
        if depth >= DEPTH_LIMIT {
            return Err(SyntaxError::TooDeep);
        }
        if self.skip("#") {
            let name = self.name().ok_or(SyntaxError::BadSubstitution)?;
            return self.close(name, Operator::Length, Vec::new());
        }
        let name = self.name().ok_or(SyntaxError::VariableName)?;
        match self.peek() {
            Some(':') => self.default_or_substring(name, depth),
            Some('=') => self.default(name, depth),
            Some(',' | '^') => self.casing(name),
            Some('/') => self.replacement(name, depth),
            Some('#' | '%') => self.trimming(name, depth),
            _ if self.skip("}") => Ok(Node::Call { name, operator: Operator::Value, arguments: Vec::new() }),
            _ => Err(SyntaxError::MissingClosingBrace),
        }
    }

    fn name(&mut self) -> Option<String> {
        let is_part = |c: char| c.is_alphabetic() || c.is_numeric() || c == '_';
        let length = self.rest().find(|c| !is_part(c)).unwrap_or(self.rest().len());
        let name = self.rest()[..length].to_owned();
        self.at += length;
        (!name.is_empty()).then_some(name)
    }

    fn close(&mut self, name: String, operator: Operator, arguments: Vec<Node>) -> Result<Node, SyntaxError> {
        if self.skip("}") { Ok(Node::Call { name, operator, arguments }) } else { Err(SyntaxError::BadSubstitution) }
    }

    /// An argument: an expression, or text of at least one character.
    fn argument(
        &mut self,
        accept: impl Fn(char) -> bool,
        escapes: Escapes,
        depth: usize,
    ) -> Result<Node, SyntaxError> {
        if self.opens() {
            return self.call(depth + 1);
        }
        let text = self.take(accept, escapes);
        if text.is_empty() { Err(SyntaxError::Argument) } else { Ok(Node::Text(text)) }
    }

    fn default_or_substring(&mut self, name: String, depth: usize) -> Result<Node, SyntaxError> {
        if [":=", ":-", ":?", ":+"].iter().any(|operator| self.rest().starts_with(operator)) {
            return self.default(name, depth);
        }
        self.skip(":");
        let mut arguments = vec![self.argument(|c| c != ':' && c != '}', Escapes::None, depth)?];
        if !self.rest().starts_with(':') {
            return self.close(name, Operator::Substring, arguments);
        }
        // Any number of colons parts the two numbers.
        while self.skip(":") {}
        arguments.push(self.argument(|c| c != '}', Escapes::None, depth)?);
        self.close(name, Operator::Substring, arguments)
    }

    fn default(&mut self, name: String, depth: usize) -> Result<Node, SyntaxError> {
        let length = if self.rest().starts_with('=') { 1 } else { 2 };
        self.at += length;
        let mut arguments = Vec::new();
        while !self.rest().starts_with('}') {
            arguments.push(self.argument(|c| c != '}', Escapes::None, depth)?);
        }
        self.close(name, Operator::Default, arguments)
    }

    fn casing(&mut self, name: String) -> Result<Node, SyntaxError> {
        let mut operator = String::new();
        while operator.len() < 2
            && let Some(c @ (',' | '^')) = self.peek()
        {
            operator.push(c);
            self.at += 1;
        }
        let operator = match operator.as_str() {
            "," => Operator::LowerFirst,
            ",," => Operator::Lower,
            "^" => Operator::UpperFirst,
            "^^" => Operator::Upper,
            // A mixture is no operator, and leaves the value as it is.
            _ => Operator::Value,
        };
        self.close(name, operator, Vec::new())
    }

    fn trimming(&mut self, name: String, depth: usize) -> Result<Node, SyntaxError> {
        let operators = [
            ("##", Operator::TrimLongestPrefix),
            ("#", Operator::TrimShortestPrefix),
            ("%%", Operator::TrimLongestSuffix),
            ("%", Operator::TrimShortestSuffix),
        ];
        let operator = self.operator(&operators)?;
        let argument = self.argument(|c| c != '}', Escapes::None, depth)?;
        self.close(name, operator, vec![argument])
    }

    fn replacement(&mut self, name: String, depth: usize) -> Result<Node, SyntaxError> {
        let operators = [
            ("//", Operator::ReplaceAll),
            ("/#", Operator::ReplacePrefix),
            ("/%", Operator::ReplaceSuffix),
            ("/", Operator::ReplaceFirst),
        ];
        let operator = self.operator(&operators)?;
        let mut arguments = vec![self.argument(|c| c != '/', Escapes::All, depth)?];
        if !self.skip("/") {
            return Err(SyntaxError::BadSubstitution);
        }
        while self.skip("/") {}
        if !self.rest().starts_with('}') {
            arguments.push(self.argument(|c| c != '}', Escapes::All, depth)?);
        }
        self.close(name, operator, arguments)
    }

    fn operator(&mut self, operators: &[(&str, Operator)]) -> Result<Operator, SyntaxError> {
        let found = operators.iter().find(|(token, _)| self.rest().starts_with(token));
        let (token, operator) = found.ok_or(SyntaxError::BadSubstitution)?;
        self.at += token.len();
        Ok(*operator)
    }
}
