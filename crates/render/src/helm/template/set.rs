//! The templates that can be called by name: those of a chart, and over them those that a text for `tpl`
//! defines.

use std::collections::HashMap;

use super::node::Template;
use crate::helm::value::Str;

/// Templates by name. A set over another one sees its templates, and hides those that it redefines.
#[derive(Debug, Default)]
pub struct Set<'p> {
    below: Option<&'p Set<'p>>,
    own: HashMap<Str, Template>,
}

impl<'p> Set<'p> {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty set over another one, as Go's `Clone`.
    pub fn over(below: &'p Set<'p>) -> Self {
        Self { below: Some(below), own: HashMap::new() }
    }

    /// The template of this name.
    pub fn get(&self, name: &[u8]) -> Option<&Template> {
        let mut set = self;
        loop {
            if let Some(template) = set.own.get(name) {
                return Some(template);
            }
            set = set.below?;
        }
    }

    /// Adds templates. A blank one does not replace an existing one.
    pub fn add(&mut self, templates: impl IntoIterator<Item = Template>) {
        for template in templates {
            if !(template.is_empty && self.get(&template.name).is_some()) {
                self.own.insert(template.name.clone(), template);
            }
        }
    }

    /// Adds a template, or replaces an existing one.
    pub fn put(&mut self, template: Template) {
        self.own.insert(template.name.clone(), template);
    }
}
