//! Indexes of Helm repositories: no bytes end the reading but by an error, and what is read answers.

#![no_main]

use libfuzzer_sys::fuzz_target;
use lockgate_base::index::ChartIndex;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(index) = ChartIndex::read(bytes) {
        for wanted in ["", "*", "1.0.0", ">=1.0.0-0"] {
            let _ = index.choose("demo", wanted).map_err(|missing| missing.to_string());
        }
    }
});
