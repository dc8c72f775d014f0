//! The printer: prints the value of any text in each layout without a panic, and reads it back equal.

#![no_main]

use libfuzzer_sys::fuzz_target;
use lockgate_base::model::yaml::{Dialect, Layout, documents, first_document, print};
use lockgate_fuzz::{assert_reads_back, is_read_by_go};

fuzz_target!(|text: &str| {
    let Ok(document) = first_document(text, Dialect::V2) else { return };
    for (dialect, layout) in [
        (Dialect::V2, Layout::V2),
        (Dialect::V3, Layout::V3),
        (Dialect::V3, Layout::V3.indented_by(4).with_compact_lists()),
    ] {
        let printed = print(&document.value, layout);
        if is_read_by_go(&document.value) {
            let read = documents(&printed, dialect).expect("what is printed is YAML");
            assert_eq!(print(&read[0].value, layout), printed, "what is printed reads back equal");
        }
    }
    for dialect in [Dialect::V2, Dialect::V3] {
        assert_reads_back(&document.value, dialect);
    }
});
