//! libFuzzer's entry to `dumplens_fuzz::translate`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dumplens_fuzz::translate(data));
