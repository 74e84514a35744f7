//! The parts of a layer, each on its own: what a file holds is one noun of `gpu-backend/docs/model.md`.

pub mod attention;
pub mod evicted;
pub mod feed_forward;
pub mod gated_linear;
pub mod projection;
pub mod rms_norm;
pub mod rope;
pub mod sight;
