#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keyway_fuzz::store_file::store_file(data));
