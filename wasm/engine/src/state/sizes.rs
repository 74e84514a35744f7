//! What a conversation takes, counted from the config alone, as `gpu-backend/spikingbrain/sizes.py` counts it
//! (`gpu-backend/docs/model.md#9-what-a-sequence-takes`): the tokens that are still visible, without the room that pages leave.
//! [`super::State::bytes_at`] is what the engine's memory must hold.

use super::evicted_before;
use super::page::KvType;
use crate::config::{Config, Softmax};

/// Bytes of a sequence's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateBytes {
    /// Linear states and sums of evicted tokens in f32: constant.
    pub head: u64,
    /// Keys and values that are still visible to some later token, sinks included, and salient ones with their positions and salience.
    pub pages: u64,
    /// What the next token adds: constant once every window is full.
    pub per_token: u64,
}

impl StateBytes {
    /// After `context` tokens of text.
    pub fn new(config: &Config, context: u64, kind: KvType) -> Self {
        let (heads, dim) = (config.kv_heads as u64, config.head_dim as u64);
        let layer_token = 2 * heads * if kind == KvType::Int8 { dim + 4 } else { 4 * dim };
        let linear = config.layers.iter().filter(|layer| layer.mixer.linear.is_some()).count() as u64;
        let held = |position: u64| -> u64 {
            let of_layer = |softmax| match softmax {
                Softmax::Full => position,
                Softmax::Window(width) => position.min((config.kept() + width) as u64),
            };
            config.layers.iter().filter_map(|layer| layer.mixer.softmax).map(of_layer).fold(0, u64::saturating_add)
        };
        // Position and salience of each KV head's token come on top.
        let salient_token = layer_token + heads * 8;
        let salient = |position: u64| -> u64 {
            let of_layer = |layer: &crate::config::Layer| match (layer.mixer.evicted, layer.mixer.softmax) {
                (Some(evicted), Some(Softmax::Window(width))) => {
                    let position = usize::try_from(position).unwrap_or(usize::MAX - 1).min(usize::MAX - 1);
                    evicted.salient.min(evicted_before(config, width, position)) as u64
                }
                _ => 0,
            };
            config.layers.iter().map(of_layer).fold(0, u64::saturating_add)
        };
        let evicted = config.layers.iter().filter(|layer| layer.mixer.evicted.is_some()).count() as u64;
        let position = context.saturating_add(config.learned_sinks as u64);
        let next = position.saturating_add(1);
        Self {
            head: (linear * dim * dim + evicted * 2 * dim * (dim + 1)) * heads * 4,
            pages: held(position).saturating_mul(layer_token).saturating_add(salient(position).saturating_mul(salient_token)),
            per_token: (held(next) - held(position)) * layer_token + (salient(next) - salient(position)) * salient_token,
        }
    }
}
