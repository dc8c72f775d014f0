//! Parsed templates, which all releases of a chart share.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use super::node::Template;
use super::parser::parse;
use crate::helm::context::RenderContext;
use crate::helm::error::Error;
use crate::helm::value::{Str, live};

/// The parsed templates of a chart and of its subcharts, by their paths. They stay on the rendering thread.
#[derive(Debug, Default)]
pub struct ParsedTemplates {
    known: RefCell<BTreeMap<Str, Known>>,
    count: Cell<usize>,
}

/// The templates of one file.
#[derive(Debug, Clone)]
struct Known {
    /// The parsed text. With other aliases another file may have the same path.
    text: Arc<[u8]>,
    templates: Rc<[Template]>,
    /// The size of the templates in bytes.
    size: usize,
}

impl ParsedTemplates {
    /// The templates of each of these texts, which come with their paths. A cached text costs a render as
    /// many steps as a new one. If one of the texts is invalid, nothing is kept, and `failed` words its
    /// error.
    pub fn get(
        &self,
        files: &[(Str, Arc<[u8]>)],
        context: &mut RenderContext<'_>,
        failed: impl Fn(&Str, &Error) -> Error,
    ) -> Result<Vec<Rc<[Template]>>, Error> {
        let mut found = Vec::new();
        for (path, text) in files {
            context.spend(text.len() / 8)?;
            let before =
                self.known.borrow().get(path).filter(|known| Arc::ptr_eq(&known.text, text)).cloned();
            let known = if let Some(known) = before {
                context.share(known.size);
                known
            } else {
                let before = live();
                let templates = parse(path, &Str::from(&text[..])).map_err(|error| failed(path, &error))?;
                self.count.set(self.count.get() + 1);
                let size = live().saturating_sub(before);
                Known { text: Arc::clone(text), templates: templates.into(), size }
            };
            context.memory(0)?;
            found.push((path.clone(), known));
        }
        let templates = found.iter().map(|(_, known)| Rc::clone(&known.templates)).collect();
        self.known.borrow_mut().extend(found);
        Ok(templates)
    }

    /// The number of parsed texts.
    pub fn count(&self) -> usize {
        self.count.get()
    }
}
