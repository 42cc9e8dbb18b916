//! Random bytes against the reader of csv: an error or a result, never a panic.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    lodestone_data::fuzzing::csv(bytes);
});
