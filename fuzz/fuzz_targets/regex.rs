//! Go's syntax of regular expressions: a pattern on the first line, and behind it the text to search.

#![no_main]

use libfuzzer_sys::fuzz_target;
use lockgate_fuzz::helm::regex;

fuzz_target!(|text: &[u8]| regex(text));
