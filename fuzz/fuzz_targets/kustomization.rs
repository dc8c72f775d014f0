//! Whole folders through kustomize, in the command line's flavour and in Flux's.

#![no_main]

use libfuzzer_sys::fuzz_target;
use lockgate_fuzz::Case;

fuzz_target!(|text: &str| Case::read(text).run());
