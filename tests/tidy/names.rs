//! One name, one meaning: a type that is visible to other files shares its name with no other such type.

use std::collections::BTreeMap;

use super::{File, files};

/// The most names that may have several meanings. Such names are a command's `Arguments`, and `Git` for a
/// source and for its fetcher; a reader tells them apart by the module.
const MOST: usize = 12;

/// The types of a file that other files can name.
fn offered(code: &str) -> Vec<&str> {
    fn of(line: &str) -> Option<&str> {
        let rest = line.strip_prefix("pub")?;
        let rest = if rest.starts_with('(') { rest.split_once(") ")?.1 } else { rest.strip_prefix(' ')? };
        let (word, rest) = rest.split_once(' ')?;
        let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
        matches!(word, "struct" | "enum" | "trait" | "type").then_some(name)
    }
    // Only items at the beginning of a line count: a type inside of a function or a trait has no name
    // outside.
    code.lines().filter_map(of).collect()
}

/// The names of several types, each with the files of those types.
fn shared<'f>(files: impl IntoIterator<Item = (&'f str, String)>) -> BTreeMap<String, Vec<&'f str>> {
    let mut places: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (path, code) in files {
        for name in offered(&code) {
            places.entry(name.to_owned()).or_default().push(path);
        }
    }
    places.retain(|_, paths| paths.len() > 1);
    places
}

#[test]
fn a_type_shares_its_name_with_no_other() {
    let files = files();
    let shared = shared(files.iter().map(|file: &File| (file.path.as_str(), file.shipped())));
    assert!(shared.len() <= MOST, "{} names mean several types: {shared:#?}", shared.len());
}

#[test]
fn a_name_of_two_types_is_found() {
    let one =
        "pub struct A;\npub(crate) enum B {}\nstruct C;\nfn f() {\n    pub struct D;\n}\npub type E<T> = T;";
    let other = "pub(in crate::x) struct B(u8);\npub struct C;\npub trait E {}\npub struct D;";
    let shared = shared([("one.rs", one.to_owned()), ("other.rs", other.to_owned())]);
    assert_eq!(shared.keys().collect::<Vec<_>>(), ["B", "E"]);
}
