//! Any bytes as a manifest, in YAML (and so JSON) and in HCL.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| reprieve_lint::fuzz::manifest(bytes));
