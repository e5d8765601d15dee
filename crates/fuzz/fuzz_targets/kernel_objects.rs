//! libFuzzer's entry to `dumplens_fuzz::kernel_objects`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dumplens_fuzz::kernel_objects(data));
