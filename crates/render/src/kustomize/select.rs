//! Selects the objects of a target: regular expressions over identities, and Kubernetes selectors over labels
//! and annotations.

use std::borrow::Cow;
use std::collections::HashMap;

use regex::Regex;

use super::file::Selector;
use super::id::{KindRef, ResourceId};
use super::pattern;
use super::res::Res;
use super::resmap::ResMap;
use crate::error::{Fault, Result};
use lockgate_base::model::Object;

/// A pattern for a whole text. A pattern without special characters is compared literally.
#[derive(Debug, Clone)]
enum Pattern {
    Any,
    Text(String),
    Regex(Regex),
}

impl Pattern {
    fn new(pattern: &str, field: &str) -> Result<Self> {
        if pattern.is_empty() {
            return Ok(Self::Any);
        }
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_/:".contains(c);
        if pattern.chars().all(is_plain) {
            return Ok(Self::Text(pattern.into()));
        }
        let regex = pattern::compile_within("^(?:", pattern, ")$");
        Ok(Self::Regex(regex.map_err(|fault| fault.in_field(format!("target.{field}")))?))
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Text(wanted) => wanted == text,
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

/// A target with compiled patterns.
#[derive(Debug, Clone)]
pub(crate) struct Matcher {
    group: Pattern,
    version: Pattern,
    kind: Pattern,
    name: Pattern,
    namespace: Pattern,
    labels: Requirements,
    annotations: Requirements,
}

impl Matcher {
    /// Checks the patterns of a selector.
    pub(crate) fn new(selector: &Selector) -> Result<Self> {
        Ok(Self {
            group: Pattern::new(&selector.group, "group")?,
            version: Pattern::new(&selector.version, "version")?,
            kind: Pattern::new(&selector.kind, "kind")?,
            name: Pattern::new(&selector.name, "name")?,
            namespace: Pattern::new(&selector.namespace, "namespace")?,
            labels: Requirements::parse(&selector.label_selector)
                .map_err(|fault| fault.in_field("target.labelSelector"))?,
            annotations: Requirements::parse(&selector.annotation_selector)
                .map_err(|fault| fault.in_field("target.annotationSelector"))?,
        })
    }

    /// The selected resources; name and namespace may be the current or the original ones.
    pub(crate) fn select(&self, map: &ResMap) -> Vec<usize> {
        let mut selected = self.candidates(map);
        selected.retain(|at| self.means(&map.items()[*at]));
        selected
    }

    /// The resources that may be selected: all, or those that have or had the name if it is no pattern.
    pub(crate) fn candidates(&self, map: &ResMap) -> Vec<usize> {
        match &self.name {
            Pattern::Text(name) => map.by_any_name(name).to_vec(),
            Pattern::Any | Pattern::Regex(_) => (0..map.items().len()).collect(),
        }
    }

    fn means(&self, res: &Res) -> bool {
        if !self.means_kind(res.gvk()) {
            return false;
        }
        let first = res.previous.first();
        let name =
            self.name.matches(&res.name()) || first.is_some_and(|previous| self.name.matches(&previous.name));
        let namespace = matches!(self.namespace, Pattern::Any)
            || self.namespace.matches(&res.effective_namespace())
            || first.is_some_and(|previous| self.namespace.matches(&previous.namespace));
        name && namespace && self.means_metadata(res)
    }

    /// Whether the kind is selected.
    pub(crate) fn means_kind(&self, gvk: KindRef<'_>) -> bool {
        self.kind.matches(gvk.kind) && self.group.matches(gvk.group) && self.version.matches(gvk.version)
    }

    /// Whether one identity is selected; `namespace` is compared with the selector's.
    pub(crate) fn means_id(&self, id: &ResourceId, namespace: &str) -> bool {
        self.means_kind(id.gvk()) && self.name.matches(&id.name) && self.namespace.matches(namespace)
    }

    /// Whether labels and annotations are selected.
    pub(crate) fn means_metadata(&self, res: &Res) -> bool {
        self.labels.match_in(res, "labels") && self.annotations.match_in(res, "annotations")
    }
}

/// The built objects that a target selects.
#[derive(Debug, Clone)]
pub struct Selection(Matcher);

impl Selection {
    /// Checks the patterns of a selector. An error names the field.
    pub fn new(selector: &Selector) -> Result<Self> {
        Matcher::new(selector).map(Self)
    }

    /// Whether an object is selected.
    pub fn means(&self, object: &Object) -> bool {
        self.0.means(&Res::new(object.value().clone(), ""))
    }
}

/// A Kubernetes selector, such as `app=web,tier in (a, b),!old`.
#[derive(Debug, Clone, Default)]
struct Requirements(Vec<Requirement>);

#[derive(Debug, Clone)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    Exists,
    Absent,
    In(Vec<String>),
    NotIn(Vec<String>),
    Above(i64),
    Below(i64),
}

impl Requirements {
    fn match_in(&self, res: &Res, field: &str) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let pairs: HashMap<&str, Cow<'_, str>> = res.string_map(field).collect();
        self.0.iter().all(|requirement| requirement.test.holds(pairs.get(requirement.key.as_str())))
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        let tokens = tokens(text);
        let mut parser = Parser { tokens: &tokens, at: 0 };
        let mut requirements = Vec::new();
        if tokens.is_empty() {
            return Ok(Self::default());
        }
        loop {
            requirements.push(
                parser
                    .requirement()
                    .map_err(|message| Fault::new(format!("'{text}' is not a selector: {message}")))?,
            );
            match parser.next() {
                None => return Ok(Self(requirements)),
                Some(",") => {}
                Some(other) => {
                    return Err(Fault::new(format!(
                        "'{text}' is not a selector: found '{other}', expected ','"
                    )));
                }
            }
        }
    }
}

impl Test {
    fn holds(&self, value: Option<&Cow<'_, str>>) -> bool {
        let number = |value: &Cow<'_, str>| value.parse::<i64>().ok();
        match (self, value) {
            (Self::Exists, value) => value.is_some(),
            (Self::Absent, value) => value.is_none(),
            (Self::In(_) | Self::Above(_) | Self::Below(_), None) => false,
            (Self::NotIn(_), None) => true,
            (Self::In(values), Some(value)) => values.iter().any(|wanted| wanted == value),
            (Self::NotIn(values), Some(value)) => values.iter().all(|wanted| wanted != value),
            (Self::Above(limit), Some(value)) => number(value).is_some_and(|number| number > *limit),
            (Self::Below(limit), Some(value)) => number(value).is_some_and(|number| number < *limit),
        }
    }
}

/// Splits a selector into words and operators.
fn tokens(text: &str) -> Vec<&str> {
    let special = |c: char| "=!(),<>".contains(c);
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("==") || rest.starts_with("!=") {
            2
        } else if special(first) {
            1
        } else {
            rest.find(|c: char| special(c) || c.is_whitespace()).unwrap_or(rest.len())
        };
        let (token, tail) = rest.split_at(length);
        tokens.push(token);
        rest = tail.trim_start();
    }
    tokens
}

struct Parser<'a> {
    tokens: &'a [&'a str],
    at: usize,
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn peek(&self) -> Option<&'a str> {
        self.tokens.get(self.at).copied()
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let absent = self.peek() == Some("!");
        if absent {
            self.at += 1;
        }
        let key = self.next().unwrap_or_default();
        check_key(key)?;
        let key = key.to_owned();
        if absent {
            return Ok(Requirement { key, test: Test::Absent });
        }
        let test = match self.peek() {
            None | Some(",") => Test::Exists,
            Some(operator) => {
                self.at += 1;
                match operator {
                    "=" | "==" => Test::In(vec![self.value()?]),
                    "!=" => Test::NotIn(vec![self.value()?]),
                    "in" => Test::In(self.values()?),
                    "notin" => Test::NotIn(self.values()?),
                    ">" => Test::Above(self.number()?),
                    "<" => Test::Below(self.number()?),
                    other => return Err(format!("found '{other}', expected an operator")),
                }
            }
        };
        Ok(Requirement { key, test })
    }

    fn value(&mut self) -> Result<String, String> {
        match self.peek() {
            None | Some(",") => Ok(String::new()),
            Some(value) => {
                self.at += 1;
                check_value(value)?;
                Ok(value.into())
            }
        }
    }

    fn number(&mut self) -> Result<i64, String> {
        let value = self.value()?;
        value.parse().map_err(|_| format!("'{value}' is not an integer"))
    }

    fn values(&mut self) -> Result<Vec<String>, String> {
        if self.next() != Some("(") {
            return Err("expected '(' after in or notin".into());
        }
        let mut values = Vec::new();
        let mut current: Option<&str> = None;
        loop {
            match self.next() {
                Some(")") => break,
                Some(",") => values.push(current.take().unwrap_or_default().to_owned()),
                Some(value) if current.is_none() => {
                    check_value(value)?;
                    current = Some(value);
                }
                Some(other) => return Err(format!("found '{other}', expected ',' or ')'")),
                None => return Err("expected ')'".into()),
            }
        }
        values.push(current.unwrap_or_default().to_owned());
        Ok(values)
    }
}

/// Checks a label's name: an optional DNS prefix and up to 63 letters, digits, dashes, underscores and dots.
fn check_key(key: &str) -> Result<(), String> {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let prefix_is_dns = prefix.is_none_or(|prefix| {
        prefix.len() <= 253
            && prefix.split('.').all(|part| {
                let dns = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
                !part.is_empty() && part.chars().all(dns) && !part.starts_with('-') && !part.ends_with('-')
            })
    });
    if name.is_empty() || !prefix_is_dns || !is_label(name) {
        return Err(format!("'{key}' is not the name of a label"));
    }
    Ok(())
}

fn check_value(value: &str) -> Result<(), String> {
    if is_label(value) { Ok(()) } else { Err(format!("'{value}' is not the value of a label")) }
}

fn is_label(text: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_alphanumeric();
    text.len() <= 63
        && text.chars().all(|c| alphanumeric(c) || "-_.".contains(c))
        && text.chars().next().is_none_or(alphanumeric)
        && text.chars().last().is_none_or(alphanumeric)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn selectors_are_those_of_kubernetes() {
        let res = Res::new(json!({"metadata": {"labels": {"app": "web", "n": "5", "x.io/y": ""}}}), "f");
        for (selector, expected) in [
            ("", true),
            ("app", true),
            ("!app", false),
            ("app=web", true),
            ("app == web , n", true),
            ("app!=web", false),
            ("other!=web", true),
            ("app in (a, web)", true),
            ("app notin (a, web)", false),
            ("other notin (a)", true),
            ("n>4,n<6", true),
            ("n>5", false),
            ("x.io/y=", true),
            ("x.io/y in (,a)", true),
        ] {
            assert_eq!(
                Requirements::parse(selector).unwrap().match_in(&res, "labels"),
                expected,
                "{selector}"
            );
        }
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for selector in ["=", "a b", "a in b", "a in (b", "a=b=c", "a=b/c", "-a", "A_B.c/d", "a>b", ","] {
            assert!(Requirements::parse(selector).is_err(), "{selector}");
        }
    }

    #[test]
    fn patterns_match_whole_texts() {
        for (pattern, text, expected) in [
            ("web", "web", true),
            ("web", "website", false),
            ("web.*", "website", true),
            ("a|b", "b", true),
            ("a|b", "ab", false),
            ("", "anything", true),
        ] {
            assert_eq!(Pattern::new(pattern, "name").unwrap().matches(text), expected, "{pattern} {text}");
        }
        assert!(Pattern::new("[", "name").is_err());
    }
}
