//! S18: texts that nobody would write, put together from pieces of what people do write. Each build of them
//! ends, with objects or with an error. `make fuzz` goes on for longer, with its own pieces.

use proptest::prelude::*;

use super::*;

const PIECES: [&str; 56] = [
    "\n",
    "\n  ",
    "\n- ",
    "\n  - ",
    ": ",
    "- ",
    "{",
    "}",
    "[",
    "]",
    ", ",
    "|\n",
    ">-\n",
    "&a ",
    "*a",
    "!!str ",
    "\"",
    "'",
    "#",
    "---\n",
    "? ",
    "\t",
    "\u{e9}",
    "\u{feff}",
    "null",
    "1e999",
    "0x1f",
    "resources",
    "patches",
    "path",
    "target",
    "patch",
    "a.yaml",
    "../",
    "bases",
    "components",
    "namespace",
    "namePrefix",
    "labels",
    "pairs",
    "images",
    "newTag",
    "replacements",
    "source",
    "fieldPath",
    "configMapGenerator",
    "literals",
    "$patch: delete",
    "name",
    "kind: ConfigMap",
    "apiVersion: v1",
    "metadata",
    "op: replace",
    "value",
    ".*",
    "(",
];

const VARIABLES: [&str; 22] = [
    "$", "{", "}", "${V", "${V}", "${V:=", "${V:-", "${V##", "${V%%", "${V/", "${V//", "${V^^", "${V,,",
    "${V:1:2", "${#V}", "*", "?", "[a", "]", "\\", "}}", "\u{e9}",
];

fn text(pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(pieces), 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_folder_makes_a_build_panic(kustomization in text(&PIECES), resource in text(&PIECES), patch in text(&PIECES)) {
        let whole = config_map("a", "");
        let resource = format!("{whole}{resource}");
        let listed = format!("resources: [a.yaml]\npatches: [{{path: b.yaml, target: {{name: .*}}}}]\n{kustomization}");
        for kustomization in [kustomization, listed] {
            let files = [("kustomization.yaml", &kustomization), ("a.yaml", &resource), ("b.yaml", &patch)];
            let files = files.map(|(path, text)| (path, text.clone()));
            let _ = rendered(&files, None, &Budget::default());
        }
    }

    #[test]
    fn no_variable_makes_a_build_panic(text in text(&VARIABLES), value in text(&PIECES)) {
        let object = config_map("a", &format!("data:\n  a: '{text}'\n"));
        let _ = rendered(&[("a.yaml", object)], Some(value), &Budget::default());
    }
}
