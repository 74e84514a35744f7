//! What a conversation takes, counted from the config alone, as `gpu-backend/spikingbrain/sizes.py` counts it (`model.md` 1.6): the tokens that
//! are still visible, without the room that pages leave. [`super::State::bytes_at`] is what the engine's memory must hold.

use super::page::KvType;
use crate::config::{Config, Softmax};

/// Bytes of a sequence's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateBytes {
    /// Linear states in f32: constant.
    pub head: u64,
    /// Keys and values that are still visible to some later token, sinks included.
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
        let position = context.saturating_add(config.learned_sinks as u64);
        Self {
            head: linear * heads * dim * dim * 4,
            pages: held(position).saturating_mul(layer_token),
            per_token: (held(position.saturating_add(1)) - held(position)) * layer_token,
        }
    }
}
