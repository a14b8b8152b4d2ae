#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| reprieve::fuzz::routes(bytes));
