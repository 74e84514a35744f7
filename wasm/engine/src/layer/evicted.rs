//! The `evicted` mixer beside its attention (`gpu-backend/docs/evicted-tokens.md`): features, sums, mix and correction, token by token.
//!
//! Nothing here depends on how a text is cut into passes, so it may be cut anywhere.

mod features;
mod mix;
mod scratch;
mod sums;

pub use features::FeatureMaps;
pub use mix::{Gates, join_and_correct, ramp};
pub use scratch::Scratch;
pub use sums::{Remembered, naive, read_and_take};

use super::projection::{Projection, Tensors};
use crate::error::Result;

/// Weights of one layer's mixer; shapes as on the page above, of the heads that this rank has.
#[derive(Debug)]
pub struct EvictedWeights {
    /// Of queries.
    pub query_maps: FeatureMaps,
    /// Of keys.
    pub key_maps: FeatureMaps,
    /// `g`, `[KV heads]`.
    pub decays: Vec<f32>,
    /// `u`, `[KV heads, head_dim]`.
    pub salience: Vec<f32>,
    /// `w` and `c`, `[heads, hidden]`.
    pub mix: Projection,
    /// `d`, `[heads]`.
    pub normaliser: Vec<f32>,
    /// `e`, `[heads]`.
    pub matching: Vec<f32>,
    /// `C`, `[2 heads, hidden]`.
    pub correction: Projection,
    /// `[heads, head_dim]`
    pub scale: Vec<f32>,
    /// `[heads, head_dim]`
    pub bias: Vec<f32>,
}

impl EvictedWeights {
    /// From `blk.{layer}.evicted_*`.
    pub fn take(tensors: &mut Tensors<'_>, dim: usize, layer: usize) -> Result<Self> {
        let at = |name: &str| format!("blk.{layer}.evicted_{name}");
        let salience = tensors.matrix(&at("salience.weight"))?;
        let mut rows = vec![0.0; salience.rows() * dim];
        rows.chunks_exact_mut(dim).enumerate().for_each(|(head, row)| salience.row(head, row));
        #[allow(clippy::cast_possible_truncation)]
        let decay = |log: f32| libm::exp(f64::from(log)) as f32;
        Ok(Self {
            query_maps: FeatureMaps::take(tensors, &at("query_map"), dim)?,
            key_maps: FeatureMaps::take(tensors, &at("key_map"), dim)?,
            decays: tensors.vector(&at("log_decay.weight"))?.into_iter().map(decay).collect(),
            salience: rows,
            mix: Projection::take(tensors, &at("mix"))?,
            normaliser: tensors.vector(&at("mix_normaliser.weight"))?,
            matching: tensors.vector(&at("mix_match.weight"))?,
            correction: Projection::take(tensors, &at("correction"))?,
            scale: tensors.vector(&at("correction_scale.weight"))?,
            bias: tensors.vector(&at("correction_bias.weight"))?,
        })
    }

    /// Outputs that each channel of the mixer's input feeds beside q, k and v, in a model of so many heads: the mix's and the correction's.
    pub fn fan_out(heads: usize) -> usize {
        3 * heads
    }
}
