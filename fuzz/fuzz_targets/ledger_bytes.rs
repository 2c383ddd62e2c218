#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keyway_fuzz::ledger_bytes::ledger_bytes(data));
