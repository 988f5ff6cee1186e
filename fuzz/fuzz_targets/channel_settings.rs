#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tidewire_fuzz::targets::channel_settings::run(data));
