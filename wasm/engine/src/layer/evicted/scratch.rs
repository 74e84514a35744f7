//! Buffers that live as long as the engine. Rows are those of a pass.

use crate::config::Config;
use crate::error::Result;
use crate::kernel::Activations;
use crate::memory::Allowance;
use crate::spike::Site;
use crate::weights::matrix::{PANEL_ROWS, panel_rows};

/// See the module.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Queries as kept tokens meet them, a row for each token and head; spikes where they fire.
    pub far: Activations,
    /// Queries as salient tokens meet them, alike.
    pub apart: Activations,
    /// Angles that undo the rotation of the token that leaves after each row, `[rows, 2, pairs]`.
    pub leaving_angles: Vec<f32>,
    /// Un-rotated keys of the tokens that leave, `[rows, KV heads, head_dim]`.
    pub leaving_keys: Vec<f32>,
    /// Values of one of them, `[head_dim]`.
    pub leaving_values: Vec<f32>,
    /// Their salience, `[rows, KV heads]`.
    pub salience: Vec<f32>,
    /// Natural logs of attention's sums of exponentials, `[rows, heads]`.
    pub log_normalisers: Vec<f32>,
    /// One head's input of a feature map, `[rows, head_dim]`.
    pub map_input: Activations,
    /// Its output.
    pub mapped: Vec<f32>,
    /// `[rows, heads of a group, 2 head_dim]`
    pub query_features: Vec<f32>,
    /// `[rows, 2 head_dim]` of one KV head.
    pub key_features: Vec<f32>,
    /// Of one token, `[heads of a group, head_dim]`.
    pub numerators: Vec<f32>,
    /// Alike, `[heads of a group]`.
    pub denominators: Vec<f32>,
    /// `[rows, heads]`, padded as a product writes it.
    pub mix: Vec<f32>,
    /// `[rows, 2 heads]`, alike.
    pub correction: Vec<f32>,
}

impl Scratch {
    /// Takes the memory of passes of `rows` tokens, where the model has an `evicted` mixer.
    pub fn reserve(&mut self, config: &Config, rows: usize, allowance: &mut Allowance) -> Result<()> {
        if config.evicted().is_none() {
            return Ok(());
        }
        let (heads, kv_heads, dim) = (config.heads, config.kv_heads, config.head_dim);
        let group = heads / kv_heads;
        let of = |n: usize| rows.saturating_mul(n);
        let fires = config.spiking.mode.fires(Site::Query);
        for queries in [&mut self.far, &mut self.apart] {
            queries.reserve_values(of(heads), dim, fires, allowance)?;
        }
        allowance.reserve(&mut self.leaving_angles, of(config.rope_dim))?;
        allowance.reserve(&mut self.leaving_keys, of(kv_heads * dim))?;
        allowance.reserve(&mut self.leaving_values, dim)?;
        allowance.reserve(&mut self.salience, of(kv_heads))?;
        allowance.reserve(&mut self.log_normalisers, of(heads))?;
        self.map_input.reserve(rows, dim, allowance)?;
        allowance.reserve(&mut self.mapped, of(panel_rows(dim)))?;
        allowance.reserve(&mut self.query_features, of(group * 2 * dim))?;
        allowance.reserve(&mut self.key_features, of(2 * dim))?;
        allowance.reserve(&mut self.numerators, group * dim)?;
        allowance.reserve(&mut self.denominators, group)?;
        allowance.reserve(&mut self.mix, of(heads.next_multiple_of(PANEL_ROWS)))?;
        allowance.reserve(&mut self.correction, of((2 * heads).next_multiple_of(PANEL_ROWS)))
    }
}
