//! The unused exports of the crates: rustc reports no dead code behind `pub`.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{ImplItem, Item, Visibility};

/// The names that a file exports, and the names that it uses.
#[derive(Debug, Default)]
struct Names {
    /// Functions, methods and constants.
    values: BTreeSet<String>,
    /// Types, which must be `pub` if other `pub` items of the file mention them.
    types: BTreeSet<String>,
    /// The number of occurrences of each identifier in the file.
    taken: BTreeMap<String, usize>,
}

/// The `pub` items and methods of `files` that no other file names, as `path: name`; types are only listed if
/// their own file does not name them either. A re-export is no use. Of the files for which `is_looked_at` is
/// false, only the uses count.
pub(super) fn unused<'a>(
    files: impl IntoIterator<Item = (&'a str, &'a str)>,
    is_looked_at: impl Fn(&str) -> bool,
) -> Vec<String> {
    let names = |(path, text): (&'a str, &str)| {
        let syntax = syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut names = Names::default();
        names.visit_file(&syntax);
        (path, names)
    };
    let files: BTreeMap<&str, Names> = files.into_iter().map(names).collect();
    let mut takers: BTreeMap<&str, usize> = BTreeMap::new();
    for name in files.values().flat_map(|names| names.taken.keys()) {
        *takers.entry(name).or_default() += 1;
    }
    let mut unused = Vec::new();
    for (path, names) in files.iter().filter(|(path, _)| is_looked_at(path)) {
        // One occurrence is the definition itself, in its own file.
        let is_taken_elsewhere = |name: &str| takers.get(name).is_some_and(|takers| *takers > 1);
        let is_shown = |name: &str| names.taken.get(name).is_some_and(|times| *times > 1);
        let values = names.values.iter().filter(|name| !is_taken_elsewhere(name));
        let types = names.types.iter().filter(|name| !is_taken_elsewhere(name) && !is_shown(name));
        unused.extend(values.chain(types).map(|name| format!("{path}: {name}")));
    }
    unused
}

impl Names {
    fn offer(&mut self, visibility: &Visibility, name: &syn::Ident, is_type: bool) {
        if matches!(visibility, Visibility::Public(_)) {
            let offered = if is_type { &mut self.types } else { &mut self.values };
            offered.insert(name.to_string());
        }
    }

    fn take(&mut self, name: &syn::Ident) {
        *self.taken.entry(name.to_string()).or_default() += 1;
    }

    fn tokens(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    self.take(&ident);
                }
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }
}

impl<'a> Visit<'a> for Names {
    fn visit_item(&mut self, item: &'a Item) {
        match item {
            Item::Const(item) => self.offer(&item.vis, &item.ident, false),
            Item::Enum(item) => self.offer(&item.vis, &item.ident, true),
            Item::Fn(item) => self.offer(&item.vis, &item.sig.ident, false),
            Item::Static(item) => self.offer(&item.vis, &item.ident, false),
            Item::Struct(item) => self.offer(&item.vis, &item.ident, true),
            Item::Trait(item) => self.offer(&item.vis, &item.ident, true),
            Item::Type(item) => self.offer(&item.vis, &item.ident, true),
            // An impl block of a type is no use of it.
            Item::Impl(item) => {
                item.trait_.iter().for_each(|(_, path, _)| self.visit_path(path));
                item.items.iter().for_each(|item| self.visit_impl_item(item));
                return;
            }
            Item::Use(item) if !matches!(item.vis, Visibility::Inherited) => return,
            _ => {}
        }
        visit::visit_item(self, item);
    }

    fn visit_impl_item(&mut self, item: &'a ImplItem) {
        if let ImplItem::Fn(function) = item {
            self.offer(&function.vis, &function.sig.ident, false);
        }
        visit::visit_impl_item(self, item);
    }

    fn visit_ident(&mut self, ident: &'a syn::Ident) {
        self.take(ident);
    }

    fn visit_macro(&mut self, invocation: &'a syn::Macro) {
        self.tokens(invocation.tokens.clone());
        visit::visit_macro(self, invocation);
    }
}

#[test]
fn what_nobody_takes_is_found() {
    let files = [
        (
            "a.rs",
            "pub struct A; pub fn b() { c() } pub fn c() {} pub fn d() {} fn e() {} impl A { pub fn f(&self) {} } pub struct G; pub fn k() -> H {} pub struct H;",
        ),
        ("lib.rs", "pub use a::{A, b};"),
        ("other.rs", "use a::A; fn g() { a::k(); json!({ \"x\": a::d() }) } pub fn h() {}"),
    ];
    assert_eq!(unused(files, |path| path == "a.rs"), ["a.rs: b", "a.rs: c", "a.rs: f", "a.rs: G"]);
}
