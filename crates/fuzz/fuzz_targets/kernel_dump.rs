//! libFuzzer's entry to `dumplens_fuzz::kernel_dump`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dumplens_fuzz::kernel_dump(data));
