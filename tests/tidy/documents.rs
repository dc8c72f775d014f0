//! Every path in the documents exists.

use std::path::Path;

/// The documents that lead to files.
const DOCUMENTS: [(&str, &str); 4] = [
    ("ARCHITECTURE.md", include_str!("../../ARCHITECTURE.md")),
    ("CONTRIBUTING.md", include_str!("../../CONTRIBUTING.md")),
    ("README.md", include_str!("../../README.md")),
    ("SECURITY.md", include_str!("../../SECURITY.md")),
];

/// Top-level folders. A word in code that begins with one of them is a path of the repository.
const TOP: [&str; 7] = ["benches/", "bootstrap/", "crates/", "examples/", "fuzz/", "src/", "tests/"];

/// The paths that a document names, in code or as the target of a link.
fn paths(text: &str) -> Vec<&str> {
    let codes = text.split('`').skip(1).step_by(2).filter(|code| {
        TOP.iter().any(|top| code.starts_with(top))
            && !code.contains(['*', '<', ' '])
            && !code.contains("NAME")
    });
    let links = text.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(target, _)| target));
    let links = links.filter(|target| !target.contains("://") && !target.starts_with('#'));
    codes.chain(links).collect()
}

#[test]
fn each_path_that_a_document_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let named =
        DOCUMENTS.iter().flat_map(|(name, text)| paths(text).into_iter().map(move |path| (name, path)));
    let lost: Vec<_> = named.filter(|(_, path)| !root.join(path).exists()).collect();
    assert!(lost.is_empty(), "{lost:?}");
}

#[test]
fn paths_are_found_in_code_and_in_links() {
    let text = "See `src/cli.rs`, `make test`, `src/cli/NAME.rs` and [this](LICENSE), not [that](https://example.org).";
    assert_eq!(paths(text), ["src/cli.rs", "LICENSE"]);
}
