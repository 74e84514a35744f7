//! Buffers of a pass, reused from pass to pass.

use super::LOGIT_ROWS;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::kernel::Activations;
use crate::layer::rms_norm::rms_norm;
use crate::layer::{attention, evicted, feed_forward, gated_linear};
use crate::memory::Allowance;
use crate::spike::{Neurons, Site};
use crate::weights::matrix::PANEL_ROWS;

/// What [`super::Model::forward`] computes in.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(super) residual: Vec<f32>,
    pub(super) normed: Activations,
    pub(super) angles: Vec<f32>,
    pub(super) query: Vec<f32>,
    pub(super) key: Vec<f32>,
    pub(super) value: Vec<f32>,
    pub(super) gate: Vec<f32>,
    pub(super) low_rank: Vec<f32>,
    pub(super) low_rank_in: Activations,
    pub(super) mapped_query: Vec<f32>,
    pub(super) mapped_key: Vec<f32>,
    pub(super) branch: Vec<f32>,
    pub(super) heads: Activations,
    pub(super) out: Vec<f32>,
    pub(super) attention: attention::Scratch,
    pub(super) evicted: evicted::Scratch,
    pub(super) linear: gated_linear::Scratch,
    pub(super) feed_forward: feed_forward::Scratch,
    pub(super) logits: Vec<f32>,
    pub(super) neurons: Neurons,
    /// Queries that have fired, a row for each head.
    pub(super) fired_query: Activations,
}

impl Scratch {
    /// Takes the memory of passes of `rows` tokens, but for attention's, which depends on the position. `rank` is the largest of a low-rank
    /// gate.
    pub(super) fn reserve(&mut self, config: &Config, rank: usize, rows: usize, allowance: &mut Allowance) -> Result<()> {
        let (hidden, width, kv_width) = (config.hidden, config.heads * config.head_dim, config.kv_heads * config.head_dim);
        let plain = |n: usize| rows.saturating_mul(n);
        // As wide as a product writes it.
        let padded = |n: usize| plain(n.next_multiple_of(PANEL_ROWS));
        self.normed.reserve(rows.max(LOGIT_ROWS), hidden, allowance)?;
        allowance.reserve(&mut self.residual, plain(hidden))?;
        allowance.reserve(&mut self.angles, plain(config.rope_dim))?;
        if config.mixing_layers().next().is_some() {
            self.heads.reserve(rows, width, allowance)?;
            allowance.reserve(&mut self.query, padded(width))?;
            allowance.reserve(&mut self.key, padded(kv_width))?;
            allowance.reserve(&mut self.value, padded(kv_width))?;
            allowance.reserve(&mut self.branch, plain(width))?;
        }
        allowance.reserve(&mut self.out, padded(hidden))?;
        if config.mixing_layers().any(|layer| layer.mixer.linear.is_some() || layer.mixer.evicted.is_some()) {
            allowance.reserve(&mut self.mapped_query, padded(width))?;
        }
        if config.mixing_layers().any(|layer| layer.mixer.evicted.is_some()) {
            self.evicted.reserve(config, rows, allowance)?;
        }
        if config.mixing_layers().any(|layer| layer.mixer.linear.is_some()) {
            allowance.reserve(&mut self.gate, padded(kv_width))?;
            allowance.reserve(&mut self.low_rank, padded(rank))?;
            self.low_rank_in.reserve(rows, rank, allowance)?;
            allowance.reserve(&mut self.mapped_key, padded(kv_width))?;
            self.linear.reserve(config.head_dim, allowance)?;
        }
        if config.spiking.mode.fires(Site::Query) && config.mixing_layers().any(|layer| layer.mixer.softmax.is_some()) {
            self.fired_query.reserve(rows.saturating_mul(config.heads), config.head_dim, allowance)?;
        }
        self.feed_forward.reserve(rows, config, allowance)?;
        allowance.reserve(&mut self.logits, LOGIT_ROWS.saturating_mul(config.cut.head.len().next_multiple_of(PANEL_ROWS)))
    }

    /// Bytes of passes of `rows` tokens that end before `position`.
    pub(crate) fn bytes(config: &Config, rank: usize, rows: usize, position: usize) -> Result<usize> {
        let mut allowance = Allowance::new("the buffers of a pass", usize::MAX);
        let mut scratch = Self::default();
        scratch.reserve(config, rank, rows, &mut allowance)?;
        scratch.attention.reserve(config, position, &mut allowance)?;
        Ok(allowance.taken())
    }

    /// Rows that another part of the model has left, `[count, hidden]`.
    pub(super) fn set_rows(&mut self, rows: &[f32], count: usize, hidden: usize) -> Result<()> {
        if rows.len() != count * hidden {
            return Err(Error::InvalidArgument(format!("rows must be {count} of {hidden} numbers; they are {} numbers", rows.len())));
        }
        self.residual.clear();
        self.residual.extend_from_slice(rows);
        Ok(())
    }

    /// `normed = rms_norm(residual)`, row by row.
    pub(super) fn normalise(&mut self, config: &Config, weight: &[f32]) {
        let rows = self.residual.len() / config.hidden;
        let target = self.normed.fill(rows, config.hidden);
        for (target, row) in target.chunks_exact_mut(config.hidden).zip(self.residual.chunks_exact(config.hidden)) {
            rms_norm(row, weight, config.epsilon, target);
        }
    }
}
