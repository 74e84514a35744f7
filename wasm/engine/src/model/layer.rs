//! A layer's weights, taken from what the loader has read.

use super::Scratch;
use crate::config::{Config, Layer as LayerConfig};
use crate::error::Result;
use crate::layer::evicted::EvictedWeights;
use crate::layer::feed_forward::FeedForward;
use crate::layer::projection::{AttentionProjections, Projection, Tensors, compact};
use crate::spike::Site;
use crate::weights::names::{LINEAR_PREFIX, SOFTMAX_PREFIX};

/// Of a layer cut in halves only one is there.
#[derive(Debug)]
pub struct Layer {
    pub mixing: Option<Mixing>,
    pub feeding: Option<Feeding>,
}

/// A layer's mixer.
#[derive(Debug)]
pub struct Mixing {
    pub config: LayerConfig,
    /// Outputs of the whole model that each channel of the mixer's input feeds.
    pub fan_out: usize,
    pub norm: Vec<f32>,
    /// One set, or linear's and softmax's.
    pub projections: Vec<AttentionProjections>,
    /// Linear's and softmax's norms of a parallel mixer.
    pub branch_norms: Option<(Vec<f32>, Vec<f32>)>,
    pub gate: Option<LearnedGate>,
    pub head_norm: Option<Vec<f32>>,
    pub evicted: Option<EvictedWeights>,
}

/// A layer's feed-forward.
#[derive(Debug)]
pub struct Feeding {
    pub norm: Vec<f32>,
    pub feed_forward: FeedForward,
}

impl Layer {
    /// What of it `config.cut` holds.
    pub fn take(tensors: &mut Tensors<'_>, config: &Config, index: usize) -> Result<Self> {
        let mixing = if config.cut.mixes(index) { Some(Mixing::take(tensors, config, index)?) } else { None };
        let feeding = if config.cut.feeds(index) { Some(Feeding::take(tensors, config, index)?) } else { None };
        Ok(Self { mixing, feeding })
    }

    /// Rank of a low-rank gate; 0 without one.
    pub fn gate_rank(&self) -> usize {
        let gate = self.mixing.as_ref().and_then(|mixing| mixing.gate.as_ref());
        gate.and_then(|gate| gate.low_rank.as_ref()).map_or(0, Projection::rows)
    }
}

impl Feeding {
    fn take(tensors: &mut Tensors<'_>, config: &Config, index: usize) -> Result<Self> {
        Ok(Self {
            norm: tensors.vector(&format!("blk.{index}.ffn_norm.weight"))?,
            feed_forward: FeedForward::take(tensors, index, config)?,
        })
    }
}

impl Mixing {
    fn take(tensors: &mut Tensors<'_>, config: &Config, index: usize) -> Result<Self> {
        let layer = config.layers[index];
        let at = |name: &str| format!("blk.{index}.{name}");
        let prefixes: &[&str] =
            if layer.mixer.is_parallel() && layer.mixer.separate_projections { &[LINEAR_PREFIX, SOFTMAX_PREFIX] } else { &[""] };
        let gate = LearnedGate::take(tensors, config, index)?;
        let (width, kv_width) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
        let of_evicted = if layer.mixer.evicted.is_some() { EvictedWeights::fan_out(config.heads) } else { 0 };
        Ok(Self {
            config: layer,
            fan_out: prefixes.len() * (width + 2 * kv_width) + of_evicted + gate.as_ref().map_or(0, LearnedGate::fan_out),
            norm: tensors.vector(&at("attn_norm.weight"))?,
            projections: prefixes.iter().map(|prefix| AttentionProjections::take(tensors, index, prefix)).collect::<Result<_>>()?,
            branch_norms: if layer.mixer.is_parallel() {
                Some((tensors.vector(&at("linear_norm.weight"))?, tensors.vector(&at("softmax_norm.weight"))?))
            } else {
                None
            },
            gate,
            head_norm: tensors.optional_vector(&at("attn_head_norm.weight")),
            evicted: layer.mixer.evicted.map(|_| EvictedWeights::take(tensors, config.head_dim, index)).transpose()?,
        })
    }
}

/// `z = B (A x) + b`, or one matrix where a checkpoint has merged the two.
#[derive(Debug)]
pub struct LearnedGate {
    low_rank: Option<Projection>,
    full: Projection,
    /// Rows of the whole model's `full`.
    outputs: usize,
}

impl LearnedGate {
    fn take(tensors: &mut Tensors<'_>, config: &Config, index: usize) -> Result<Option<Self>> {
        let outputs = config.kv_heads * config.head_dim;
        let name = |part: &str| format!("blk.{index}.attn_gate{part}");
        Ok(if tensors.has_weight(&name("_a")) {
            let low_rank = Projection::take(tensors, &name("_a"))?;
            Some(Self { low_rank: Some(low_rank), full: Projection::take(tensors, &name("_b"))?, outputs })
        } else if tensors.has_weight(&name("")) {
            Some(Self { low_rank: None, full: Projection::take(tensors, &name(""))?, outputs })
        } else {
            None
        })
    }

    /// Outputs that each channel of the mixer's input feeds.
    fn fan_out(&self) -> usize {
        self.low_rank.as_ref().map_or(self.outputs, Projection::rows)
    }

    /// `z` of `scratch.normed` into `scratch.gate`: `[rows, kv_width]`.
    pub fn apply(&self, scratch: &mut Scratch, rows: usize, kv_width: usize) {
        match &self.low_rank {
            Some(low_rank) => {
                low_rank.apply(&mut scratch.normed, &mut scratch.low_rank);
                let rank = low_rank.rows();
                compact(&mut scratch.low_rank, rows, rank);
                scratch.low_rank_in.fill(rows, rank).copy_from_slice(&scratch.low_rank);
                scratch.neurons.fire(&mut scratch.low_rank_in, Site::GateIn, self.outputs);
                self.full.apply(&mut scratch.low_rank_in, &mut scratch.gate);
            }
            None => {
                self.full.apply(&mut scratch.normed, &mut scratch.gate);
            }
        }
        compact(&mut scratch.gate, rows, kv_width);
    }
}
