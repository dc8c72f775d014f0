//! Templates that were parsed before: all releases of a chart share them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use super::node::Template;
use super::parser::parse;
use crate::helm::context::RenderContext;
use crate::helm::error::Error;
use crate::helm::value::{Str, live};

/// The parsed templates of a chart and of those in it, by their paths. They stay on the thread that renders.
#[derive(Debug, Default)]
pub struct ParsedTemplates {
    known: RefCell<BTreeMap<Str, Known>>,
    count: Cell<usize>,
}

/// The templates of one file.
#[derive(Debug, Clone)]
struct Known {
    /// What was parsed. With other aliases another file may have the same path.
    text: Arc<[u8]>,
    templates: Rc<[Template]>,
    /// How many bytes they take.
    size: usize,
}

impl ParsedTemplates {
    /// The templates of each of these texts, which come with their paths. A text that was parsed before costs
    /// a render what it costs the first one. Nothing is kept of texts of which one is no template; `failed`
    /// words its error.
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

    /// How many texts were parsed.
    pub fn count(&self) -> usize {
        self.count.get()
    }
}
