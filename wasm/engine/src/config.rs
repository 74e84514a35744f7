//! One model, described by config: the 7B, the 76B and the small models differ only here.

use crate::error::{Error, Result};
use crate::weights::gguf::{Header, TensorInfo, Value};
use crate::weights::matrix::PANEL_ROWS;

/// How a softmax branch sees the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Softmax {
    /// All of it.
    Full,
    /// The last so many tokens, the current one included.
    Window(usize),
}

/// Non-negative map on queries and keys of linear attention (`model.md` 1.3, 2).
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

/// What mixes tokens in a layer: one branch, or two in parallel whose normed outputs are summed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mixer {
    /// The linear-attention branch.
    pub linear: Option<Linear>,
    /// The softmax branch.
    pub softmax: Option<Softmax>,
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
    /// Learned sink tokens in front of every text, seen by all and seeing one another (`model.md` 2).
    pub learned_sinks: usize,
    /// Leading tokens of the text that never leave a window.
    pub kept_tokens: usize,
    /// Layers in order.
    pub layers: Vec<Layer>,
    /// Beginning-of-text token, where the file names one.
    pub bos: Option<u32>,
    /// End-of-text token, where the file names one.
    pub eos: Option<u32>,
}

struct Keys<'a> {
    header: &'a Header,
    architecture: &'a str,
}

impl Keys<'_> {
    fn full(&self, key: &str) -> String {
        format!("{}.{key}", self.architecture)
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.header.metadata.get(&self.full(key))
    }

    fn wrong(&self, key: &str, rule: &str, value: Option<&Value>) -> Error {
        let found = value.map_or_else(|| "missing".to_owned(), |value| format!("{value:?}"));
        Error::InvalidGguf(format!("{} must be {rule}; it is {found}", self.full(key)))
    }

    fn optional_size(&self, key: &str, most: usize) -> Result<Option<usize>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Integer(n)) if *n >= 0 && *n <= most as i128 => Ok(Some(usize::try_from(*n).unwrap_or(most))),
            other => Err(self.wrong(key, &format!("an integer from 0 to {most}"), other)),
        }
    }

    fn size(&self, key: &str, most: usize) -> Result<usize> {
        match self.optional_size(key, most)? {
            Some(n) if n > 0 => Ok(n),
            _ => Err(self.wrong(key, &format!("an integer from 1 to {most}"), self.get(key))),
        }
    }

    fn float(&self, key: &str, default: Option<f64>) -> Result<f64> {
        match (self.get(key), default) {
            (Some(Value::Float(x)), _) if x.is_finite() && *x > 0.0 => Ok(*x),
            (None, Some(default)) => Ok(default),
            (other, _) => Err(self.wrong(key, "a positive number", other)),
        }
    }

    fn flag(&self, key: &str, default: bool) -> Result<bool> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            other => Err(self.wrong(key, "a bool", other)),
        }
    }

    fn choice<T: Copy>(&self, key: &str, choices: &[(&str, T)], default: T) -> Result<T> {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        match self.get(key) {
            None => Ok(default),
            Some(Value::Text(text)) => choices
                .iter()
                .find(|(name, _)| name == text)
                .map(|(_, choice)| *choice)
                .ok_or_else(|| self.wrong(key, &format!("one of {names:?}"), self.get(key))),
            other => Err(self.wrong(key, &format!("one of {names:?}"), other)),
        }
    }

    fn names(&self, key: &str, count: usize) -> Result<Option<&[String]>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Texts(names)) if names.len() == count => Ok(Some(names)),
            other => Err(self.wrong(key, &format!("an array of {count} strings"), other)),
        }
    }
}

const MAX_LAYERS: usize = 4_096;
const MAX_WIDTH: usize = 1 << 20;
const MAX_CONTEXT: usize = 1 << 30;

impl Config {
    /// From a GGUF's metadata. Every rule that later code relies on is checked here.
    pub fn from_header(header: &Header) -> Result<Self> {
        let architecture = match header.metadata.get("general.architecture") {
            Some(Value::Text(name)) if ["llama", "qwen2", "spikingbrain"].contains(&name.as_str()) => name.clone(),
            Some(Value::Text(name)) => {
                return Err(Error::UnsupportedModel(format!(
                    "general.architecture is '{name}'; 'llama', 'qwen2' and 'spikingbrain' are supported"
                )));
            }
            other => {
                return Err(Error::InvalidGguf(format!("general.architecture must be a string; it is {other:?}")));
            }
        };
        let keys = Keys { header, architecture: &architecture };
        let layer_count = keys.size("block_count", MAX_LAYERS)?;
        let hidden = keys.size("embedding_length", MAX_WIDTH)?;
        let heads = keys.size("attention.head_count", MAX_WIDTH)?;
        let kv_heads = keys.optional_size("attention.head_count_kv", MAX_WIDTH)?.unwrap_or(heads);
        if kv_heads == 0 || !heads.is_multiple_of(kv_heads) {
            return Err(keys.wrong("attention.head_count_kv", &format!("a divisor of {heads} heads"), keys.get("attention.head_count_kv")));
        }
        let head_dim = match keys.optional_size("attention.key_length", MAX_WIDTH)? {
            Some(n) if n > 0 => n,
            _ if hidden.is_multiple_of(heads) => hidden / heads,
            _ => {
                return Err(keys.wrong("attention.key_length", "given when heads do not divide the width", None));
            }
        };
        if keys.optional_size("attention.value_length", MAX_WIDTH)?.is_some_and(|n| n != head_dim) {
            return Err(Error::UnsupportedModel(format!("{} differs from the key length {head_dim}", keys.full("attention.value_length"))));
        }
        if heads.saturating_mul(head_dim) > MAX_WIDTH || !head_dim.is_multiple_of(2) {
            return Err(keys.wrong("attention.key_length", "even, and heads times it at most 2^20", keys.get("attention.key_length")));
        }
        let rope_dim = keys.optional_size("rope.dimension_count", head_dim)?.unwrap_or(head_dim);
        if !rope_dim.is_multiple_of(2) {
            return Err(keys.wrong("rope.dimension_count", "even", keys.get("rope.dimension_count")));
        }
        refuse_scaled_rope(&keys)?;
        let inner = keys.size("feed_forward_length", MAX_WIDTH)?;
        let learned_sinks = keys.optional_size("attention.sink_count", 4_096)?.unwrap_or(0);
        let kept_tokens = keys.optional_size("attention.kept_tokens", 4_096)?.unwrap_or(0);
        if learned_sinks > 0 && kept_tokens > 0 {
            return Err(keys.wrong("attention.kept_tokens", "0 when there are learned sinks", keys.get("attention.kept_tokens")));
        }
        #[allow(clippy::cast_possible_truncation)]
        let config = Self {
            hidden,
            heads,
            kv_heads,
            head_dim,
            rope_dim,
            rope_theta: keys.float("rope.freq_base", Some(10_000.0))?,
            rope_interleaved: architecture == "llama",
            epsilon: keys.float("attention.layer_norm_rms_epsilon", None)? as f32,
            vocabulary: vocabulary(header)?,
            context: keys.size("context_length", MAX_CONTEXT)?,
            learned_sinks,
            kept_tokens,
            layers: layers(&keys, layer_count, inner)?,
            name: match header.metadata.get("general.name") {
                Some(Value::Text(name)) => name.clone(),
                _ => String::new(),
            },
            bos: token(header, "tokenizer.ggml.bos_token_id"),
            eos: token(header, "tokenizer.ggml.eos_token_id"),
            architecture: architecture.clone(),
        };
        if config.rope_interleaved && rope_dim != head_dim {
            return Err(Error::UnsupportedModel(format!("rope.dimension_count {rope_dim} of {head_dim} in the 'llama' order")));
        }
        Ok(config)
    }
}

fn refuse_scaled_rope(keys: &Keys<'_>) -> Result<()> {
    match keys.get("rope.scaling.type") {
        None => Ok(()),
        Some(Value::Text(kind)) if kind == "none" => Ok(()),
        other => Err(Error::UnsupportedModel(format!("{} is {other:?}; only 'none' is supported", keys.full("rope.scaling.type")))),
    }
}

fn token(header: &Header, key: &str) -> Option<u32> {
    match header.metadata.get(key) {
        Some(Value::Integer(n)) => u32::try_from(*n).ok(),
        _ => None,
    }
}

fn vocabulary(header: &Header) -> Result<usize> {
    header
        .tensors
        .iter()
        .find(|tensor| tensor.name == "token_embd.weight")
        .map(TensorInfo::rows)
        .ok_or_else(|| Error::InvalidGguf("tensor 'token_embd.weight' is missing".to_owned()))
}

fn layers(keys: &Keys<'_>, count: usize, inner: usize) -> Result<Vec<Layer>> {
    let mixers = keys.names("layer.mixers", count)?;
    let feed_forwards = keys.names("layer.feed_forwards", count)?;
    if mixers.is_none() && keys.architecture == "spikingbrain" {
        return Err(keys.wrong("layer.mixers", &format!("an array of {count} strings"), None));
    }
    let experts = experts(keys, feed_forwards, inner)?;
    (0..count)
        .map(|index| {
            let mixer = match mixers {
                None => Mixer { linear: None, softmax: Some(Softmax::Full), separate_projections: false },
                Some(names) => mixer(keys, &names[index], index)?,
            };
            let feed_forward = match feed_forwards.map(|names| names[index].as_str()) {
                None | Some("dense") => FeedForward::Dense(inner),
                Some("moe") => FeedForward::Experts(experts.ok_or_else(|| keys.wrong("expert_count", "given for a 'moe' layer", None))?),
                Some(other) => {
                    return Err(Error::InvalidGguf(format!(
                        "{}[{index}] must be 'dense' or 'moe'; it is '{other}'",
                        keys.full("layer.feed_forwards")
                    )));
                }
            };
            Ok(Layer { mixer, feed_forward })
        })
        .collect()
}

fn mixer(keys: &Keys<'_>, text: &str, index: usize) -> Result<Mixer> {
    let mut mixer = Mixer {
        linear: None,
        softmax: None,
        separate_projections: keys.choice("parallel.projections", &[("shared", false), ("separate", true)], false)?,
    };
    for branch in text.split('+') {
        let softmax = match branch {
            "linear" if mixer.linear.is_none() => {
                mixer.linear = Some(linear(keys)?);
                continue;
            }
            "window" => Softmax::Window(keys.size("attention.sliding_window", MAX_CONTEXT)?),
            "full" => Softmax::Full,
            _ => {
                return Err(Error::InvalidGguf(format!(
                    "{}[{index}] must join 'linear' and one of 'window' or 'full' by '+'; it is '{text}'",
                    keys.full("layer.mixers")
                )));
            }
        };
        if mixer.softmax.replace(softmax).is_some() {
            return Err(Error::InvalidGguf(format!("{}[{index}] may have one softmax branch; it is '{text}'", keys.full("layer.mixers"))));
        }
    }
    Ok(mixer)
}

fn linear(keys: &Keys<'_>) -> Result<Linear> {
    #[allow(clippy::cast_possible_truncation)]
    let learned = Gate::Learned { normalizer: keys.float("linear.gate_normalizer", Some(16.0))? as f32 };
    Ok(Linear {
        feature_map: keys.choice(
            "linear.feature_map",
            &[("relu", FeatureMap::Relu), ("sigmoid", FeatureMap::Sigmoid)],
            FeatureMap::Relu,
        )?,
        gate: keys.choice("linear.gate", &[("learned", learned), ("one_minus_key", Gate::OneMinusKey)], learned)?,
        head_norm: keys.flag("linear.head_norm", true)?,
    })
}

fn experts(keys: &Keys<'_>, feed_forwards: Option<&[String]>, inner: usize) -> Result<Option<Experts>> {
    if !feed_forwards.is_some_and(|names| names.iter().any(|name| name == "moe")) {
        return Ok(None);
    }
    let count = keys.size("expert_count", 4_096)?;
    let used = keys.size("expert_used_count", count)?;
    let inner = keys.optional_size("expert_feed_forward_length", MAX_WIDTH)?.filter(|n| *n > 0).unwrap_or(inner);
    // The experts' matrices are stacked in one, and a product starts at a panel.
    let hidden = keys.size("embedding_length", MAX_WIDTH)?;
    if !inner.is_multiple_of(PANEL_ROWS) || !hidden.is_multiple_of(PANEL_ROWS) {
        return Err(keys.wrong("expert_feed_forward_length", "a multiple of 4, as the width", keys.get("expert_feed_forward_length")));
    }
    Ok(Some(Experts {
        count,
        used,
        inner,
        shared_inner: keys.optional_size("expert_shared_feed_forward_length", MAX_WIDTH)?.unwrap_or(0),
        sigmoid: keys.choice("expert_gating", &[("softmax", false), ("sigmoid", true)], false)?,
        normalised: keys.flag("expert_weights_norm", false)?,
    }))
}
