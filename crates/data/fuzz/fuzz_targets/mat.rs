#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    lodestone_data::fuzzing::mat(bytes);
});
