//! The uses between files, read from the syntax: `use` and paths, also through `super::`, aliases, groups,
//! macros and re-exports.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, UseTree, Visibility};

/// A module of a crate, from its root: `["plan", "drift"]`; the root itself is empty.
pub(super) type Module = Vec<String>;

/// The content of one file.
#[derive(Debug, Default)]
struct Unit {
    /// The modules that it declares, in order, without those for tests.
    children: Vec<String>,
    /// The names that it defines.
    items: BTreeSet<String>,
    /// The names that it re-exports, with their paths inside of it. `*` re-exports all.
    reexports: Vec<(String, Module)>,
    /// The paths that it uses.
    uses: BTreeSet<Module>,
    /// All identifiers outside of `use`.
    idents: BTreeSet<String>,
}

/// The files of one crate, and the uses between them.
#[derive(Debug, Default)]
pub(super) struct Crate {
    units: BTreeMap<Module, Unit>,
}

impl Crate {
    /// Reads the files of a crate: `(path below its src/, text)`. The caller leaves out files for tests.
    pub(super) fn read<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let unit = |(path, text): (&str, &str)| {
            let syntax = syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}"));
            let mut unit = Unit::default();
            unit.visit_file(&syntax);
            (module_of(path), unit)
        };
        Self { units: files.into_iter().map(unit).collect() }
    }

    /// For each file, the files that it uses. A re-export is no use.
    pub(super) fn edges(&self) -> BTreeMap<&Module, BTreeSet<&Module>> {
        let targets = |(module, unit): (&'_ Module, &'_ Unit)| {
            let handed_on = unit.reexports.iter().filter(|(name, _)| unit.idents.contains(name));
            let paths = unit.uses.iter().chain(handed_on.map(|(_, path)| path));
            let found: BTreeSet<Module> = paths.filter_map(|path| self.resolve(module, path, 0)).collect();
            found.into_iter().filter(|target| target != module).collect::<Vec<_>>()
        };
        let keyed = |(module, unit)| {
            let targets = targets((module, unit));
            let known = targets.iter().filter_map(|target| self.units.get_key_value(target));
            (module, known.map(|(target, _)| target).collect())
        };
        self.units.iter().map(keyed).collect()
    }

    /// The modules that `module` declares, in order.
    pub(super) fn children(&self, module: &[String]) -> &[String] {
        self.units.get(module).map_or(&[], |unit| &unit.children)
    }

    /// The file that contains the item which `path` names inside of `module`; `None` for a name of another
    /// crate, or of a local item.
    fn resolve(&self, module: &[String], path: &[String], depth: usize) -> Option<Module> {
        let mut rest = path;
        let mut at: Module = match rest.first()?.as_str() {
            "crate" => Vec::new(),
            "self" | "super" => module.to_vec(),
            child if self.children(module).iter().any(|name| name == child) => module.to_vec(),
            _ => return None,
        };
        while let Some(first) = rest.first() {
            match first.as_str() {
                "super" => {
                    at.pop()?;
                }
                "crate" | "self" => {}
                _ => break,
            }
            rest = &rest[1..];
        }
        while let Some(child) = rest.first().filter(|child| self.children(&at).contains(child)) {
            at.push(child.clone());
            rest = &rest[1..];
        }
        let Some(name) = rest.first() else { return Some(at) };
        let unit = self.units.get(&at)?;
        if unit.items.contains(name) || depth > 8 {
            return Some(at);
        }
        let named = unit.reexports.iter().filter(|(handed_on, _)| handed_on == name || handed_on == "*");
        let found = named.filter_map(|(handed_on, path)| {
            let path: Module =
                if handed_on == "*" { path.iter().chain([name]).cloned().collect() } else { path.clone() };
            self.resolve(&at, &path, depth + 1)
        });
        Some(found.into_iter().next().unwrap_or(at))
    }

    /// The circles: sets of files each of which uses all others, directly or through each other.
    pub(super) fn circles(&self) -> Vec<Vec<&Module>> {
        let edges = self.edges();
        let reached = |from: &Module| {
            let mut reached = BTreeSet::new();
            let mut open: Vec<&Module> = edges[from].iter().copied().collect();
            while let Some(next) = open.pop() {
                if reached.insert(next) {
                    open.extend(edges[next].iter().copied());
                }
            }
            reached
        };
        let reached: BTreeMap<&Module, BTreeSet<&Module>> =
            self.units.keys().map(|module| (module, reached(module))).collect();
        let mut seen = BTreeSet::new();
        let mut circles = Vec::new();
        for (module, there) in &reached {
            if there.contains(module) && !seen.contains(module) {
                let circle: Vec<&Module> =
                    there.iter().filter(|other| reached[**other].contains(module)).copied().collect();
                seen.extend(circle.iter().copied());
                circles.push(circle);
            }
        }
        circles
    }

    /// The modules whose children are in the wrong order: a child uses another that is declared below it.
    /// Each has these uses, and a right order.
    pub(super) fn upward(&self) -> Vec<Upward<'_>> {
        let mut between: BTreeMap<&[String], BTreeSet<(&str, &str)>> = BTreeMap::new();
        for (from, targets) in self.edges() {
            for to in targets {
                let common = from.iter().zip(to).take_while(|(a, b)| a == b).count();
                if let (Some(own), Some(other)) = (from.get(common), to.get(common)) {
                    between.entry(&from[..common]).or_default().insert((own, other));
                }
            }
        }
        let mut found = Vec::new();
        for (module, uses) in between {
            let children = self.children(module);
            let place = |name: &str| children.iter().position(|child| child == name);
            let upward: Vec<String> = uses
                .iter()
                .filter(|(own, other)| place(own) < place(other))
                .map(|(own, other)| format!("{own} uses {other}"))
                .collect();
            if !upward.is_empty() {
                found.push(Upward { module, uses: upward, order: sorted(children, &uses) });
            }
        }
        found
    }
}

/// The children of a module in the wrong order.
#[derive(Debug)]
pub(super) struct Upward<'c> {
    /// The module that declares them.
    pub(super) module: &'c [String],
    /// `one uses other`, where the other is declared below.
    pub(super) uses: Vec<String>,
    /// An order in which each uses only those above it, as close to the present one as possible; without
    /// those in a circle.
    pub(super) order: Vec<&'c str>,
}

/// The names in an order in which each comes after those that it uses.
fn sorted<'c>(names: &'c [String], uses: &BTreeSet<(&str, &str)>) -> Vec<&'c str> {
    let mut order: Vec<&str> = Vec::new();
    while let Some(next) = names.iter().find(|name| {
        let is_placed = |used: &str| order.contains(&used);
        !is_placed(name) && uses.iter().all(|(own, used)| own != name || is_placed(used))
    }) {
        order.push(next);
    }
    order
}

/// The module of a file: `plan/drift.rs` is `plan::drift`, and `lib.rs` the root.
fn module_of(path: &str) -> Module {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let parts = path.split('/').filter(|part| !matches!(*part, "lib" | "main" | "mod"));
    parts.map(ToOwned::to_owned).collect()
}

/// Whether an item is compiled for tests only.
fn for_tests(attributes: &[Attribute]) -> bool {
    let is_test = |attribute: &Attribute| {
        attribute.path().is_ident("test")
            || attribute.path().is_ident("cfg")
                && attribute.parse_args::<syn::Ident>().is_ok_and(|condition| condition == "test")
    };
    attributes.iter().any(is_test)
}

/// The attributes of an item, if it can be for tests only.
fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// The paths of a `use`, each with its local name.
fn flatten(tree: &UseTree, prefix: &Module, found: &mut Vec<(String, Module)>) {
    let with = |name: &syn::Ident| prefix.iter().cloned().chain([name.to_string()]).collect::<Module>();
    match tree {
        UseTree::Path(path) => flatten(&path.tree, &with(&path.ident), found),
        UseTree::Name(name) if name.ident == "self" => {
            found.push((prefix.last().cloned().unwrap_or_default(), prefix.clone()));
        }
        UseTree::Name(name) => found.push((name.ident.to_string(), with(&name.ident))),
        UseTree::Rename(rename) => found.push((rename.rename.to_string(), with(&rename.ident))),
        UseTree::Glob(_) => found.push(("*".into(), prefix.clone())),
        UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, prefix, found)),
    }
}

impl Unit {
    /// The paths in the input of a macro, which is not parsed yet.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Module = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    self.idents.insert(ident.to_string());
                    if colons != 2 {
                        self.path(std::mem::take(&mut path));
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    self.path(std::mem::take(&mut path));
                    colons = 0;
                    self.tokens(group.stream());
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {
                    self.path(std::mem::take(&mut path));
                    colons = 0;
                }
            }
        }
        self.path(path);
    }

    fn path(&mut self, path: Module) {
        if path.len() > 1 {
            self.uses.insert(path);
        }
    }

    fn define(&mut self, item: &Item) {
        let name = match item {
            Item::Const(item) => &item.ident,
            Item::Enum(item) => &item.ident,
            Item::Fn(item) => &item.sig.ident,
            Item::Static(item) => &item.ident,
            Item::Struct(item) => &item.ident,
            Item::Trait(item) => &item.ident,
            Item::Type(item) => &item.ident,
            _ => return,
        };
        self.items.insert(name.to_string());
    }
}

impl<'a> Visit<'a> for Unit {
    fn visit_item(&mut self, item: &'a Item) {
        if for_tests(attributes(item)) {
            return;
        }
        self.define(item);
        match item {
            Item::Use(item) => {
                let mut found = Vec::new();
                flatten(&item.tree, &Vec::new(), &mut found);
                if matches!(item.vis, Visibility::Inherited) {
                    self.uses.extend(found.into_iter().map(|(_, path)| path));
                } else {
                    self.reexports.extend(found);
                }
            }
            Item::Mod(ItemMod { content: None, ident, .. }) => self.children.push(ident.to_string()),
            _ => visit::visit_item(self, item),
        }
    }

    fn visit_impl_item(&mut self, item: &'a syn::ImplItem) {
        if !matches!(item, syn::ImplItem::Fn(function) if for_tests(&function.attrs)) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        self.path(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_ident(&mut self, ident: &'a syn::Ident) {
        self.idents.insert(ident.to_string());
    }

    fn visit_macro(&mut self, invocation: &'a syn::Macro) {
        self.tokens(invocation.tokens.clone());
        visit::visit_macro(self, invocation);
    }
}

/// A sample crate: `(path, text)`.
#[cfg(test)]
fn sample(files: &[(&str, &str)]) -> Crate {
    Crate::read(files.iter().copied())
}

#[test]
fn uses_are_found_whichever_way_they_are_written() {
    let ways = [
        "use crate::b::X;",
        "use crate::{b::{X, Y}, c};",
        "use super::b::X as Z;",
        "use super::{b};",
        "use crate::X;",
        "use crate::deep::Y;",
        "fn f() { super::b::x() }",
        "fn f() { json!({ \"x\": crate::b::X }) }",
        "fn f() -> Option<super::b::X> { None }",
        "mod inner { use crate::b::X; }",
        "#[cfg(not(test))] use crate::b::X;",
    ];
    for way in ways {
        let root = "mod b; mod c; mod deep; mod a; pub use b::X;";
        let house = sample(&[
            ("lib.rs", root),
            ("a.rs", way),
            ("b.rs", "struct X;"),
            ("deep.rs", "pub use super::b::*;"),
        ]);
        let edges = house.edges();
        let used: Vec<String> = edges[&vec!["a".to_owned()]].iter().map(|module| module.join("::")).collect();
        assert_eq!(used, ["b"], "{way}");
    }
    for way in
        ["// crate::b::X", "#[cfg(test)] mod tests { use crate::b::X; }", "#[test] fn t() { crate::b::x() }"]
    {
        let house = sample(&[("lib.rs", "mod b; mod a;"), ("a.rs", way), ("b.rs", "struct X;")]);
        assert!(house.edges()[&vec!["a".to_owned()]].is_empty(), "{way}");
    }
}

#[test]
fn circles_and_upward_uses_are_found() {
    let house = sample(&[
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "mod d; mod e; pub struct A; use e::E;"),
        ("a/d.rs", "use super::e::E;"),
        ("a/e.rs", "use super::A; pub struct E; fn f() { super::super::c::g() }"),
        ("b.rs", "use crate::a::A;"),
        ("c.rs", "pub fn g() {}"),
    ]);
    let names = |modules: &[&Module]| modules.iter().map(|module| module.join("::")).collect::<Vec<_>>();
    let circles: Vec<_> = house.circles().iter().map(|circle| names(circle)).collect();
    assert_eq!(circles, [["a", "a::e"]]);
    let upward = house.upward();
    let told: Vec<_> =
        upward.iter().map(|u| (u.module.join("::"), u.uses.join(", "), u.order.join(" "))).collect();
    let told: Vec<_> =
        told.iter().map(|(module, uses, order)| (module.as_str(), uses.as_str(), order.as_str())).collect();
    assert_eq!(told, [("", "a uses c", "c a b"), ("a", "d uses e", "e d")]);
}
