//! Any bytes as the state of a model that the first byte names.

#![no_main]

#[path = "../../engine/tests/support/mod.rs"]
mod support;

use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use support::hostile::StateCases;

#[global_allocator]
static ALLOCATOR: support::tracking::Tracking = support::tracking::Tracking;

thread_local! {
    static CASES: RefCell<StateCases> = RefCell::new(StateCases::new());
}

fuzz_target!(|bytes: &[u8]| {
    CASES.with_borrow_mut(|cases| cases.check(bytes));
});
