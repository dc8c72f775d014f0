//! Packed charts of Helm. What is packed is fuzzed too: the bytes are an archive, or what one holds.

#![no_main]

use libfuzzer_sys::fuzz_target;
use lockgate_fuzz::helm::archive;

fuzz_target!(|bytes: &[u8]| archive(bytes));
