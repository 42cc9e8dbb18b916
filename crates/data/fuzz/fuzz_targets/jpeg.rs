//! Random bytes against the decoder of JPEG: an error or a picture, never a panic.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    lodestone_data::fuzzing::jpeg(bytes);
});
