//! What an `evicted` mixer remembers of the tokens that have left its window (`gpu-backend/docs/evicted-tokens.md`): all of them as sums, the
//! salient ones exactly.

use super::page::KvShape;
use super::salient::Salient;
use crate::config::{Config, Evicted};
use crate::error::Result;
use crate::memory::{bytes_of, with_capacity, zeroed};

const WHAT: &str = "sums of evicted tokens";

/// Of one layer.
#[derive(Debug)]
pub struct EvictedState {
    /// `phi(k) v^T` of every evicted token, decayed: `[KV heads, features, head_dim]`, twice as many features as dimensions.
    pub sums: Vec<f32>,
    /// `phi(k)` of every evicted token, decayed: `[KV heads, features]`.
    pub normalisers: Vec<f32>,
    /// Those that stay exact.
    pub salient: Salient,
}

impl EvictedState {
    pub(super) fn new(shape: KvShape, evicted: Evicted) -> Result<Self> {
        let features = shape.heads * 2 * shape.head_dim;
        Ok(Self {
            sums: zeroed(features * shape.head_dim, WHAT)?,
            normalisers: zeroed(features, WHAT)?,
            salient: Salient::new(shape, evicted),
        })
    }

    /// Of the sums, which never grow.
    pub(super) fn sums_bytes(shape: KvShape) -> usize {
        bytes_of::<f32>((shape.heads * 2 * shape.head_dim).saturating_mul(shape.head_dim + 1))
    }

    pub(super) fn bytes(&self) -> usize {
        Self::sums_bytes(self.salient.shape()) + self.salient.bytes()
    }

    pub(super) fn fork(&self) -> Result<Self> {
        let (mut sums, mut normalisers) = (with_capacity(self.sums.len(), WHAT)?, with_capacity(self.normalisers.len(), WHAT)?);
        sums.extend_from_slice(&self.sums);
        normalisers.extend_from_slice(&self.normalisers);
        Ok(Self { sums, normalisers, salient: self.salient.fork()? })
    }
}

/// Tokens that have left a window of `width` keys, the kept ones not among them, before the query at `position`.
pub fn evicted_before(config: &Config, width: usize, position: usize) -> usize {
    (position + 1).saturating_sub(width.saturating_add(config.kept()))
}
