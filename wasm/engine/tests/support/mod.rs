//! What the engine's tests share: GGUF files written from scratch, random small models, and the model again in plain f64.

// Each test binary uses its part.
#![allow(dead_code)]

pub mod cluster;
pub mod gguf_file;
pub mod golden;
pub mod hostile;
pub mod models;
pub mod random;
pub mod reference;
pub mod refusals;
pub mod running;
pub mod tracking;
