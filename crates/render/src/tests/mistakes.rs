//! Mistakes that people make: each message names the file and the cause.

use super::*;

/// A build by Flux of files whose content need not be text.
fn of_bytes(files: &[(&str, &[u8])]) -> Result<ResourceSet, String> {
    let tree = Tree::in_memory(files.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.to_vec())));
    let overlay = Overlay::from_spec(&serde_json::json!({})).unwrap();
    let recipe =
        kustomize::KustomizeRecipe { path: String::new(), flavour: Flavour::Flux(Box::new(overlay)) };
    let inputs = Inputs { variables: None };
    let rendered = render_within(&tree, &Recipe::Kustomize(recipe), &inputs, &Budget::default());
    rendered.map_err(|error| error.to_string())
}

fn names(set: ResourceSet) -> Vec<String> {
    let mut names: Vec<String> =
        set.into_resources().iter().map(|resource| resource.object.name().to_owned()).collect();
    names.sort();
    names
}

/// I09, I10, I28.
#[test]
fn a_file_that_cannot_be_read_is_told_by_its_name() {
    let large = vec![b'#'; 16 * 1024 * 1024 + 1];
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
    let cases: [(&[u8], &str); 6] = [
        (&large, "more than the limit of 16777216"),
        (b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: \"a\0b\"}\n", "b.yaml"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "b.yaml"),
        (b"apiVersion: v1\nkind: \xe9\n", "b.yaml"),
        (b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n\tname: a\n", "b.yaml:4"),
        (pointer, "Git LFS"),
    ];
    let good = config_map("a", "");
    for (bytes, told) in cases {
        let error = of_bytes(&[("a.yaml", good.as_bytes()), ("b.yaml", bytes)]).unwrap_err();
        println!("{error}");
        assert!(error.contains("b.yaml") && error.contains(told), "{error}");
    }
}

/// I10.
#[test]
fn a_byte_order_mark_and_line_ends_of_windows_are_no_mistake() {
    let text = config_map("a", "data:\n  a: b\n").replace('\n', "\r\n");
    let marked = format!("\u{feff}{text}");
    assert_eq!(names(of_bytes(&[("a.yaml", marked.as_bytes())]).unwrap()), ["a"]);
}

/// I37: the generator of Flux accepts only these names, letter by letter.
#[test]
fn files_are_read_by_their_endings() {
    let paths = ["a.yaml", "b.yml", "c.YAML", "d.json", "README.md", ".hidden/e.yaml", ".f.yaml", "g/h.yaml"];
    let files = paths.map(|path| {
        let name = path.replace(['/', '.'], "-").to_lowercase();
        (path, config_map(name.trim_matches('-'), ""))
    });
    let set = built(&files, None, &Budget::default()).unwrap();
    assert_eq!(names(set), ["a-yaml", "b-yml", "f-yaml", "g-h-yaml", "hidden-e-yaml"]);
}

/// I40.
#[test]
fn lists_are_their_items_and_what_is_empty_is_nothing() {
    let list = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n\
                - {apiVersion: v1, kind: ConfigMap, metadata: {name: b}}\n";
    let maps = "apiVersion: v1\nkind: ConfigMapList\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: c}}\n";
    let empty = format!("---\n---\n# nothing\n---\n{}---\n", config_map("d", ""));
    let files = [
        ("list.yaml", list.to_owned()),
        ("maps.yaml", maps.to_owned()),
        ("empty.yaml", empty),
        ("comment.yaml", "# only words\n".to_owned()),
    ];
    assert_eq!(names(built(&files, None, &Budget::default()).unwrap()), ["a", "b", "c", "d"]);
    let generated = "apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: a-}\n".to_owned();
    let told = error(&[("g.yaml", generated)], None, &Budget::default());
    assert!(told.contains("g.yaml") && told.contains("name"), "{told}");
}

/// I16.
#[test]
fn a_patch_that_does_not_fit_is_told_with_what_it_is_for() {
    let json =
        |operations: &str| format!("- target: {{kind: ConfigMap, name: a}}\n  patch: |\n    {operations}\n");
    let cases = [
        (
            "- patch: |\n    apiVersion: v1\n    kind: ConfigMap\n    metadata: {name: none}\n    data: {a: b}\n"
                .to_owned(),
            "none",
        ),
        (json("- {op: remove, path: /data/none}"), "/data/none"),
        (json("- {op: repalce, path: /data/a, value: b}"), "repalce"),
        (json("- {op: test, path: /data/a, value: other}"), "/data/a"),
        (json("- {op: add, value: b}"), "path"),
        ("- path: none.yaml\n".to_owned(), "none.yaml"),
    ];
    for (patches, told) in cases {
        let kustomization = format!("resources: [a.yaml]\npatches:\n{patches}");
        let files =
            [("kustomization.yaml", kustomization), ("a.yaml", config_map("a", "data: {a: \"1\"}\n"))];
        let error = error(&files, None, &Budget::default());
        println!("{error}");
        assert!(error.contains(told) && error.contains("patch"), "{error}");
    }
    let delete = "resources: [a.yaml, b.yaml]\npatches:\n- patch: |\n    {apiVersion: v1, kind: ConfigMap, metadata: {name: \
                  a}, $patch: delete}\n";
    let files = [
        ("kustomization.yaml", delete.to_owned()),
        ("a.yaml", config_map("a", "")),
        ("b.yaml", config_map("b", "")),
    ];
    assert_eq!(names(built(&files, None, &Budget::default()).unwrap()), ["b"]);
}
