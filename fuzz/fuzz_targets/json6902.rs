//! A JSON patch for every object of a file.

#![no_main]

use libfuzzer_sys::fuzz_target;
use lockgate_fuzz::{SEPARATOR, patched};

fuzz_target!(|text: &str| {
    let Some((object, patch)) = text.split_once(SEPARATOR) else { return };
    patched(object, patch, "patches: [{path: patch.yaml, target: {name: .*}}]").run();
    patched(object, patch, "patchesJson6902: [{path: patch.yaml, target: {name: .*}}]").run();
});
