//! The engine's JavaScript surface, as `wasm/API.md` describes it. Nothing is decided here: types are converted, calls are passed on.

mod bytes;
mod engine;
mod exchange;
mod inspector;
mod loader;
mod memory;
mod parts;
mod thrown;
mod wire;

use wasm_bindgen::prelude::*;

/// `scalar`, `simd128` or `relaxed`: what this package was built for.
#[wasm_bindgen]
pub fn kernel() -> String {
    use spikingbrain_engine::kernel::{Active, Kernel};
    Active::NAME.to_owned()
}

/// Where this package's kernels compute another bit than the plain loops that define them, on this host; undefined where nowhere.
#[wasm_bindgen(js_name = kernelDifference)]
pub fn kernel_difference() -> Option<String> {
    spikingbrain_engine::kernel::first_difference()
}
