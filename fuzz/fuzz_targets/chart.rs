//! Whole charts of Helm: metadata, values, dependencies, templates and documents.

#![no_main]

use libfuzzer_sys::fuzz_target;
use lockgate_fuzz::Case;
use lockgate_fuzz::helm::chart;

fuzz_target!(|text: &str| chart(Case::read(text)));
