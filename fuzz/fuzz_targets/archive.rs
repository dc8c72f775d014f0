//! Packed charts of Helm. The packing is fuzzed too: the input is either an archive or the content of one.

#![no_main]

use libfuzzer_sys::fuzz_target;
use lockgate_fuzz::helm::archive;

fuzz_target!(|bytes: &[u8]| archive(bytes));
