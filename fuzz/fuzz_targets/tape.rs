#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| agenttts_fuzz::feed("tape", bytes));
