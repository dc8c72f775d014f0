//! The loader of YAML: no text may make it panic, hang or fill memory, and what is written reads back equal.

#![no_main]

use libfuzzer_sys::fuzz_target;
use lockgate::model::yaml::{Dialect, documents, first_document, to_string};

fuzz_target!(|text: &str| {
    for dialect in [Dialect::V3, Dialect::V2] {
        let _ = first_document(text, dialect);
        let Ok(found) = documents(text, dialect) else { continue };
        for document in found {
            let written = to_string(&document.value);
            for other in [Dialect::V3, Dialect::V2] {
                let read = documents(&written, other).expect("what is written is YAML");
                assert_eq!(read.len(), 1, "one value is one document");
                assert_eq!(to_string(&read[0].value), written, "what is written reads back equal");
            }
        }
    }
});
