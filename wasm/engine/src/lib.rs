//! The SpikingBrain model family in plain Rust: gated linear attention, sliding-window and full softmax attention alone or in parallel,
//! dense and routed feed-forwards, from a GGUF to tokens. No JavaScript, no threads, no platform maths: the same bits everywhere.

pub mod config;
pub mod engine;
pub mod error;
pub mod kernel;
pub mod layer;
pub mod math;
pub mod memory;
pub mod model;
pub mod sample;
pub mod spike;
pub mod state;
pub mod token_set;
pub mod weights;

pub use engine::{Engine, SequenceOptions};
pub use error::{Error, Result};
