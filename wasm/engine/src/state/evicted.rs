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
    /// `phi(k) v^T` of every evicted token, decayed: `[KV heads, features, head_dim]`, twice as many features as dimensions. Empty, as are
    /// the normalisers, before any has left.
    pub sums: Vec<f32>,
    /// `phi(k)` of every evicted token, decayed: `[KV heads, features]`.
    pub normalisers: Vec<f32>,
    /// Those that stay exact.
    pub salient: Salient,
}

impl EvictedState {
    pub(super) fn new(shape: KvShape, evicted: Evicted) -> Self {
        Self { sums: Vec::new(), normalisers: Vec::new(), salient: Salient::new(shape, evicted) }
    }

    /// Takes the memory of a state before whose next query `evicted` tokens have left.
    pub(crate) fn make_room(&mut self, evicted: usize) -> Result<()> {
        if evicted > 0 && self.sums.is_empty() {
            self.make_sums()?;
        }
        self.salient.make_room(evicted)
    }

    pub(super) fn make_sums(&mut self) -> Result<()> {
        let KvShape { heads, head_dim, .. } = self.salient.shape();
        self.normalisers = zeroed(heads * 2 * head_dim, WHAT)?;
        self.sums = zeroed(heads * 2 * head_dim * head_dim, WHAT)?;
        Ok(())
    }

    /// Of the sums, which never grow.
    pub(super) fn sums_bytes(shape: KvShape) -> usize {
        bytes_of::<f32>((shape.heads * 2 * shape.head_dim).saturating_mul(shape.head_dim + 1))
    }

    /// Most bytes of one before whose next query `evicted` tokens have left.
    pub(super) fn bytes_at(shape: KvShape, most: usize, evicted: usize) -> usize {
        let sums = if evicted > 0 { Self::sums_bytes(shape) } else { 0 };
        sums.saturating_add(Salient::bytes_at(shape, most, evicted))
    }

    pub(super) fn bytes(&self) -> usize {
        bytes_of::<f32>(self.sums.len() + self.normalisers.len()) + self.salient.bytes()
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
