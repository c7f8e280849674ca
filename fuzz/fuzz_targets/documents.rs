#![no_main]
#[path = "../../efa-fabric/tests/support/targets.rs"]
#[allow(dead_code)] // the others
mod targets;
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::documents(bytes));
