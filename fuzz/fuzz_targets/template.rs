//! Templates of Helm through the lexer, the parser and the executor.

#![no_main]

use libfuzzer_sys::fuzz_target;
use lockgate_fuzz::helm::template;

fuzz_target!(|text: &[u8]| template(text));
