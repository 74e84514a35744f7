//! A state as a value: new, step, fork, save, load, size.
//!
//! `evicted` mixers keep sums and salient tokens beside their window. Linear branches keep one matrix per KV head; softmax branches keep keys and values in pages of 32 tokens. A window drops the pages that
//! have left it, which makes it a ring without a seam: tokens of a step are appended first, every query sees its own window, and only then
//! are pages dropped, layer by layer, so a step may be of any size. Forks share full pages.

mod cells;
mod evicted;
mod file;
mod fingerprint;
mod key_values;
mod page;
mod salient;
mod sizes;

pub use evicted::{EvictedState, evicted_before};
pub use file::{Digests, Identity, PartBytes, RecurrentType, Run, SaveMode, StateReader, StateWriter, header_bytes, runs};
pub use key_values::KeyValues;
pub use page::{KvShape, KvType, MAX_HEAD_DIM, PAGE_TOKENS, PANEL_TOKENS, Page};
pub use salient::{Leaving, Salient};
pub use sizes::StateBytes;

use crate::config::{Config, Cut, Evicted, Layer, Softmax};
use crate::error::Result;
use crate::memory::{bytes_of, with_capacity, zeroed};

/// One layer's part of a state.
#[derive(Debug, Default)]
pub struct LayerState {
    /// `[KV heads, key dim, value dim]`, empty without a linear branch (`gpu-backend/docs/model.md#41-the-recurrence`: the heads of a group
    /// share it).
    pub linear: Vec<f32>,
    /// Present with a softmax branch.
    pub key_values: Option<KeyValues>,
    /// Present with an `evicted` mixer.
    pub evicted: Option<EvictedState>,
}

impl LayerState {
    fn fork(&self) -> Result<Self> {
        let mut linear = with_capacity(self.linear.len(), LINEAR)?;
        linear.extend_from_slice(&self.linear);
        Ok(Self {
            linear,
            key_values: self.key_values.as_ref().map(KeyValues::fork).transpose()?,
            evicted: self.evicted.as_ref().map(EvictedState::fork).transpose()?,
        })
    }
}

/// What the model remembers of one sequence.
#[derive(Debug)]
pub struct State {
    position: usize,
    layers: Vec<LayerState>,
}

const LINEAR: &str = "a linear state";

/// The first position that a query at `position` sees beside the kept ones.
pub fn window_start(softmax: Softmax, position: usize) -> usize {
    match softmax {
        Softmax::Full => 0,
        Softmax::Window(width) => (position + 1).saturating_sub(width),
    }
}

fn kv_shape(config: &Config, kind: KvType) -> KvShape {
    KvShape { heads: config.kv_heads, head_dim: config.head_dim, kind }
}

impl State {
    /// Nothing read yet; layers whose mixers are elsewhere have nothing.
    pub fn new(config: &Config, kind: KvType) -> Result<Self> {
        let layers = config
            .layers
            .iter()
            .enumerate()
            .map(|(index, layer)| {
                if !config.cut.mixes(index) {
                    return Ok(LayerState::default());
                }
                let matrices = if layer.mixer.linear.is_some() { config.kv_heads * config.head_dim * config.head_dim } else { 0 };
                Ok(LayerState {
                    linear: zeroed(matrices, LINEAR)?,
                    key_values: layer.mixer.softmax.map(|_| KeyValues::new(kv_shape(config, kind))),
                    evicted: layer.mixer.evicted.map(|evicted| EvictedState::new(kv_shape(config, kind), evicted)),
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self { position: 0, layers })
    }

    /// Tokens read, sinks included.
    pub fn position(&self) -> usize {
        self.position
    }

    pub(crate) fn layer_mut(&mut self, index: usize) -> &mut LayerState {
        &mut self.layers[index]
    }

    /// After all layers have read `count` more tokens.
    pub(crate) fn advance(&mut self, count: usize) {
        self.position += count;
    }

    /// A copy that shares full pages; `OutOfMemory` when there is no room for the rest.
    pub fn fork(&self) -> Result<Self> {
        Ok(Self { position: self.position, layers: self.layers.iter().map(LayerState::fork).collect::<Result<_>>()? })
    }

    /// Positions of the tokens that a KV head of an `evicted` layer keeps exactly, slot by slot; `None` where the layer is another.
    pub fn salient_positions(&self, layer: usize, head: usize) -> Option<Vec<u32>> {
        let evicted = self.layers.get(layer)?.evicted.as_ref()?;
        (head < evicted.salient.shape().heads).then(|| evicted.salient.positions(head).collect())
    }

    /// Bytes that a fork takes: linear states, what is remembered of evicted tokens, and pages that are not yet full.
    pub fn fork_bytes(&self) -> usize {
        self.sum(KeyValues::open_bytes)
    }

    /// Bytes it takes now. Pages shared with a fork are counted in both.
    pub fn bytes(&self) -> usize {
        self.sum(KeyValues::bytes)
    }

    /// Bytes of the linear states, of what is remembered of evicted tokens, and of what `part` tells of keys and values.
    fn sum(&self, part: fn(&KeyValues) -> usize) -> usize {
        let of_layer = |layer: &LayerState| {
            let evicted = layer.evicted.as_ref().map_or(0, EvictedState::bytes);
            bytes_of::<f32>(layer.linear.len()) + evicted + layer.key_values.as_ref().map_or(0, part)
        };
        self.layers.iter().map(of_layer).sum()
    }

    /// Most bytes a state takes while it reads up to `position` in steps of at most `step` tokens.
    pub fn bytes_at(config: &Config, kind: KvType, position: usize, step: usize) -> usize {
        Self::part_bytes_at(config, &config.cut, kind, position, step)
    }

    /// The same of the part of a state that this cut of the model holds.
    pub fn part_bytes_at(config: &Config, cut: &Cut, kind: KvType, position: usize, step: usize) -> usize {
        let shape = kv_shape(config, kind);
        let kept_pages = config.kept().div_ceil(PAGE_TOKENS);
        let matrices = config.kv_heads.saturating_mul(config.head_dim).saturating_mul(config.head_dim);
        let all = position.div_ceil(PAGE_TOKENS);
        let of_layer = |layer: &Layer| {
            let linear = if layer.mixer.linear.is_some() { bytes_of::<f32>(matrices) } else { 0 };
            let (pages, evicted) = match (layer.mixer.softmax, layer.mixer.evicted) {
                (None, _) => (0, 0),
                (Some(Softmax::Full), _) => (all, 0),
                (Some(Softmax::Window(width)), evicted) => {
                    // A window lies across one page more than it fills.
                    let pages = all.min(kept_pages + width.div_ceil(PAGE_TOKENS) + 1);
                    let of_evicted = |one: Evicted| EvictedState::bytes_at(shape, one.salient, evicted_before(config, width, position));
                    (pages, evicted.map_or(0, of_evicted))
                }
            };
            linear.saturating_add(evicted).saturating_add(pages.saturating_mul(shape.page_bytes()))
        };
        let mixing = || config.layers.iter().enumerate().filter(|(index, _)| cut.mixes(*index)).map(|(_, layer)| layer);
        let windows = mixing().any(|layer| matches!(layer.mixer.softmax, Some(Softmax::Window(_))));
        // What leaves a window within a step is dropped before the next layer reads its tokens.
        let passing = if windows { step.div_ceil(PAGE_TOKENS).min(all).saturating_mul(shape.page_bytes()) } else { 0 };
        mixing().map(of_layer).fold(passing, usize::saturating_add)
    }
}

impl Config {
    /// Leading positions that every token sees: learned sinks or kept tokens.
    pub fn kept(&self) -> usize {
        self.learned_sinks.max(self.kept_tokens)
    }
}
