//! One model, described by config: the 7B, the 76B and the small models differ only here.

mod cut;
mod keys;
mod rank;
mod read;

pub use cut::Cut;
pub use rank::{MAX_RANKS, Rank};
pub use read::MAX_WIDTH;

use crate::spike::Spiking;

/// How a softmax branch sees the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Softmax {
    /// All of it.
    Full,
    /// The last so many tokens, the current one included.
    Window(usize),
}

/// Non-negative map on queries and keys of linear attention (`gpu-backend/docs/model.md#42-feature-maps`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeatureMap {
    /// The 7B's.
    Relu,
    /// The 76B's.
    Sigmoid,
}

/// The decay of linear attention.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Gate {
    /// `log a = logsigmoid(z) / normalizer`, `z` from one or two learned matrices (the 7B).
    Learned {
        /// 16 in the released model.
        normalizer: f32,
    },
    /// `a = 1 - k` (the 76B).
    OneMinusKey,
}

/// Linear attention's choices, the same in every layer that has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Linear {
    /// Map on queries and keys.
    pub feature_map: FeatureMap,
    /// Decay per key channel.
    pub gate: Gate,
    /// RMSNorm over each head's values, one weight for all heads.
    pub head_norm: bool,
}

/// Of `evicted` mixers: what a window remembers of the tokens that have left it (`gpu-backend/docs/evicted-tokens.md`). The same in every
/// layer that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evicted {
    /// Kept tokens meet a query as if it stood at this position at most.
    pub sink_cap: usize,
    /// Evicted tokens that each KV head keeps exactly, at the most.
    pub salient: usize,
    /// Tokens after which the claim of such a token has halved.
    pub salience_half_life: usize,
}

/// What mixes tokens in a layer: one branch, or two in parallel whose normed outputs are summed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mixer {
    /// The linear-attention branch.
    pub linear: Option<Linear>,
    /// The softmax branch.
    pub softmax: Option<Softmax>,
    /// What the softmax branch, a window then, remembers of what has left it; it stands alone.
    pub evicted: Option<Evicted>,
    /// In parallel: whether each branch has its own q, k, v and o (norms over the hidden size), or one set serves both (norms before o).
    pub separate_projections: bool,
}

impl Mixer {
    /// Two branches.
    pub fn is_parallel(&self) -> bool {
        self.linear.is_some() && self.softmax.is_some()
    }
}

/// A mixture of experts in place of a dense feed-forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Experts {
    /// Routed experts.
    pub count: usize,
    /// How many of them a token uses.
    pub used: usize,
    /// Hidden size of one expert.
    pub inner: usize,
    /// Hidden size of the always-on shared expert; 0 when there is none.
    pub shared_inner: usize,
    /// Router scores by sigmoid instead of softmax.
    pub sigmoid: bool,
    /// Whether the used experts' scores are scaled to sum to 1.
    pub normalised: bool,
}

/// A layer's feed-forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedForward {
    /// SwiGLU of this hidden size.
    Dense(usize),
    /// Routed SwiGLUs.
    Experts(Experts),
}

/// One layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Layer {
    /// Token mixer.
    pub mixer: Mixer,
    /// Channel mixer.
    pub feed_forward: FeedForward,
}

impl core::fmt::Display for Layer {
    /// As `linear+window moe`.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let softmax = self.mixer.softmax.map(|softmax| match (self.mixer.evicted, softmax) {
            (Some(_), _) => "evicted",
            (None, Softmax::Full) => "full",
            (None, Softmax::Window(_)) => "window",
        });
        let branches: Vec<&str> = self.mixer.linear.map(|_| "linear").into_iter().chain(softmax).collect();
        let feed_forward = if matches!(self.feed_forward, FeedForward::Dense(_)) { "dense" } else { "moe" };
        write!(f, "{} {feed_forward}", branches.join("+"))
    }
}

/// The whole model.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `general.architecture`: `llama`, `qwen2` or `spikingbrain`.
    pub architecture: String,
    /// `general.name`.
    pub name: String,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Leading dimensions of a head that are rotated.
    pub rope_dim: usize,
    /// RoPE base frequency.
    pub rope_theta: f64,
    /// Whether the file's q and k rows are in the interleaved order of GGUF's `llama`; they are put into half-split order on loading.
    pub rope_interleaved: bool,
    /// RMSNorm epsilon.
    pub epsilon: f32,
    /// Entries of the vocabulary.
    pub vocabulary: usize,
    /// The longest context the model was made for, tokens.
    pub context: usize,
    /// Learned sink tokens in front of every text, seen by all and seeing one another
    /// (`gpu-backend/docs/model.md#55-sinks-and-kept-tokens`).
    pub learned_sinks: usize,
    /// Leading tokens of the text that never leave a window.
    pub kept_tokens: usize,
    /// Layers in order.
    pub layers: Vec<Layer>,
    /// What of the model this engine holds; a file is read as whole.
    pub cut: Cut,
    /// Which inputs of products become spikes: the file's wish, or the loader's.
    pub spiking: Spiking,
    /// Beginning-of-text token, where the file names one.
    pub bos: Option<u32>,
    /// End-of-text token, where the file names one.
    pub eos: Option<u32>,
}

impl Config {
    /// What the `evicted` mixers have in common, where there are any.
    pub fn evicted(&self) -> Option<Evicted> {
        self.layers.iter().find_map(|layer| layer.mixer.evicted)
    }

    /// Whether a state stops growing once its windows are full: no layer sees all of the past.
    pub fn has_constant_state(&self) -> bool {
        self.layers.iter().all(|layer| layer.mixer.softmax != Some(Softmax::Full))
    }
}
