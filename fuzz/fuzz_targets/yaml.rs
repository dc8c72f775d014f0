//! The loader of YAML: no text may make it panic, hang or fill memory, and a printed value reads back equal.

#![no_main]

use libfuzzer_sys::fuzz_target;
use lockgate_base::model::yaml::{Dialect, documents, first_document};
use lockgate_fuzz::assert_reads_back;

fuzz_target!(|text: &str| {
    for dialect in [Dialect::V3, Dialect::V2] {
        let _ = first_document(text, dialect);
        let Ok(found) = documents(text, dialect) else { continue };
        for document in found {
            for other in [Dialect::V3, Dialect::V2] {
                assert_reads_back(&document.value, other);
            }
        }
    }
});
