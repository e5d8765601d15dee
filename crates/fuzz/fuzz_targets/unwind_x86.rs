//! libFuzzer's entry to `dumplens_fuzz::unwind_x86`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dumplens_fuzz::unwind_x86(data));
