//! The tokens of a template.

/// The type of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::helm::template) enum TokenKind {
    Error,
    Bool,
    /// A printable ASCII character that is no token of its own, such as a comma.
    Char,
    CharConstant,
    Complex,
    Assign,
    Declare,
    Eof,
    Field,
    Identifier,
    LeftDelim,
    LeftParen,
    Number,
    Pipe,
    RawString,
    RightDelim,
    RightParen,
    Space,
    String,
    Text,
    Variable,
    Block,
    Break,
    Continue,
    Dot,
    Define,
    Else,
    End,
    If,
    Nil,
    Range,
    Template,
    With,
}

impl TokenKind {
    pub(super) fn keyword(word: &[u8]) -> Option<Self> {
        Some(match word {
            b"block" => Self::Block,
            b"break" => Self::Break,
            b"continue" => Self::Continue,
            b"define" => Self::Define,
            b"else" => Self::Else,
            b"end" => Self::End,
            b"if" => Self::If,
            b"range" => Self::Range,
            b"nil" => Self::Nil,
            b"template" => Self::Template,
            b"with" => Self::With,
            _ => return None,
        })
    }

    /// Whether messages show the token between `<` and `>`.
    pub(in crate::helm::template) fn is_keyword(self) -> bool {
        matches!(
            self,
            Self::Block
                | Self::Break
                | Self::Continue
                | Self::Dot
                | Self::Define
                | Self::Else
                | Self::End
                | Self::If
                | Self::Nil
                | Self::Range
                | Self::Template
                | Self::With
        )
    }
}

/// A token.
#[derive(Debug, Clone)]
pub(in crate::helm::template) struct Item {
    pub(in crate::helm::template) kind: TokenKind,
    /// The offset of its first byte.
    pub(in crate::helm::template) pos: usize,
    /// The offset after its last byte.
    pub(in crate::helm::template) end: usize,
    /// The line where it begins, from 1.
    pub(in crate::helm::template) line: usize,
    /// The message of an error token.
    pub(in crate::helm::template) message: Option<String>,
}
