//! Any bytes as a model file.

#![no_main]

#[path = "../../engine/tests/support/mod.rs"]
mod support;

use libfuzzer_sys::fuzz_target;

#[global_allocator]
static ALLOCATOR: support::tracking::Tracking = support::tracking::Tracking;

fuzz_target!(|bytes: &[u8]| {
    support::hostile::check_file(bytes);
});
