//! The config from a GGUF's metadata. Every rule that later code relies on is checked here.

use super::keys::{Keys, wrong};
use super::{Config, Cut, Evicted, Experts, FeatureMap, FeedForward, Gate, Layer, Linear, Mixer, Softmax};
use crate::error::{Error, Result};
use crate::spike::{DEFAULT_K, Site, Spiking, SpikingMode};
use crate::state::MAX_HEAD_DIM;
use crate::weights::gguf::{Header, TensorInfo, Value};
use crate::weights::matrix::PANEL_ROWS;

const MAX_LAYERS: usize = 4_096;
/// Bound of every width. The released 7B's widest layer has 18,944.
pub const MAX_WIDTH: usize = 1 << 20;
const MAX_CONTEXT: usize = 1 << 30;
const MAX_KEPT: usize = 4_096;
const MAX_EXPERTS: usize = 4_096;
/// Bound of the rows of all experts of a layer together, so that they can be counted on 32-bit hosts.
const MAX_EXPERT_ROWS: usize = 1 << 30;

impl Config {
    /// From a GGUF's metadata and tensor table.
    pub fn from_header(header: &Header) -> Result<Self> {
        let architecture = match header.metadata.get("general.architecture") {
            Some(Value::Text(name)) if ["llama", "qwen2", "spikingbrain"].contains(&name.as_str()) => name.clone(),
            Some(Value::Text(name)) => {
                return Err(Error::UnsupportedModel(format!(
                    "general.architecture is '{name}'; 'llama', 'qwen2' and 'spikingbrain' are supported"
                )));
            }
            other => return Err(wrong("general.architecture", "a string", other)),
        };
        let keys = Keys { header, architecture: &architecture };
        let layer_count = keys.size("block_count", MAX_LAYERS)?;
        if layer_count > header.tensors.len() {
            return Err(keys.wrong("block_count", &format!("at most the file's {} tensors", header.tensors.len())));
        }
        let hidden = keys.size("embedding_length", MAX_WIDTH)?;
        let heads = keys.size("attention.head_count", MAX_WIDTH)?;
        let kv_heads = keys.optional_size("attention.head_count_kv", MAX_WIDTH)?.unwrap_or(heads);
        if kv_heads == 0 || !heads.is_multiple_of(kv_heads) {
            return Err(keys.wrong("attention.head_count_kv", &format!("a divisor of {heads} heads")));
        }
        let head_dim = head_dim(&keys, hidden, heads)?;
        let rope_dim = keys.optional_size("rope.dimension_count", head_dim)?.unwrap_or(head_dim);
        if !rope_dim.is_multiple_of(2) {
            return Err(keys.wrong("rope.dimension_count", "even"));
        }
        if architecture == "llama" && rope_dim != head_dim {
            return Err(Error::UnsupportedModel(format!("rope.dimension_count {rope_dim} of {head_dim} in the 'llama' order")));
        }
        refuse_scaled_rope(&keys)?;
        let inner = keys.size("feed_forward_length", MAX_WIDTH)?;
        let learned_sinks = keys.optional_size("attention.sink_count", MAX_KEPT)?.unwrap_or(0);
        let kept_tokens = keys.optional_size("attention.kept_tokens", MAX_KEPT)?.unwrap_or(0);
        if learned_sinks > 0 && kept_tokens > 0 {
            return Err(keys.wrong("attention.kept_tokens", "0 when there are learned sinks"));
        }
        let vocabulary = vocabulary(header)?;
        let layers = layers(&keys, layer_count, inner)?;
        if learned_sinks > 0 && layers.iter().any(|layer| layer.mixer.evicted.is_some()) {
            return Err(keys.wrong("attention.sink_count", "0 where a layer has an evicted mixer"));
        }
        #[allow(clippy::cast_possible_truncation)]
        Ok(Self {
            hidden,
            heads,
            kv_heads,
            head_dim,
            rope_dim,
            rope_theta: keys.float("rope.freq_base", Some(10_000.0))?,
            rope_interleaved: architecture == "llama",
            epsilon: keys.float("attention.layer_norm_rms_epsilon", None)? as f32,
            vocabulary,
            context: keys.size("context_length", MAX_CONTEXT)?,
            learned_sinks,
            kept_tokens,
            cut: Cut::whole(layers.len(), vocabulary),
            layers,
            spiking: spiking(&keys)?,
            name: match header.metadata.get("general.name") {
                None => String::new(),
                Some(Value::Text(name)) => name.clone(),
                other => return Err(wrong("general.name", "a short string", other)),
            },
            bos: token(header, "tokenizer.ggml.bos_token_id", vocabulary)?,
            eos: token(header, "tokenizer.ggml.eos_token_id", vocabulary)?,
            architecture: architecture.clone(),
        })
    }
}

fn spiking(keys: &Keys<'_>) -> Result<Spiking> {
    let mut spiking = Spiking {
        mode: keys.choice("spiking.mode", &SpikingMode::NAMES, SpikingMode::Off)?,
        k: shortest(keys.float("spiking.k", Some(DEFAULT_K))?),
        ..Spiking::default()
    };
    for site in Site::ALL {
        let key = format!("spiking.k.{}", site.name());
        if keys.get(&key).is_some() {
            spiking.site_k[site as usize] = Some(shortest(keys.float(&key, None)?));
        }
    }
    Ok(spiking)
}

/// A float32 of the file as the shortest decimal that means it: 2.7 and not 2.7000000477, so that thresholds are what the writer's are.
fn shortest(value: f64) -> f64 {
    #[allow(clippy::cast_possible_truncation)]
    (value as f32).to_string().parse().unwrap_or(value)
}

fn head_dim(keys: &Keys<'_>, hidden: usize, heads: usize) -> Result<usize> {
    let head_dim = match keys.optional_size("attention.key_length", MAX_WIDTH)? {
        Some(n) if n > 0 => n,
        _ if hidden.is_multiple_of(heads) => hidden / heads,
        _ => return Err(keys.wrong("attention.key_length", &format!("given when {heads} heads do not divide the width {hidden}"))),
    };
    if keys.optional_size("attention.value_length", MAX_WIDTH)?.is_some_and(|n| n != head_dim) {
        return Err(Error::UnsupportedModel(format!("{} differs from the key length {head_dim}", keys.full("attention.value_length"))));
    }
    if heads.saturating_mul(head_dim) > MAX_WIDTH || !head_dim.is_multiple_of(2) {
        return Err(keys.wrong("attention.key_length", &format!("even, and {heads} heads times it at most {MAX_WIDTH}")));
    }
    if head_dim > MAX_HEAD_DIM {
        return Err(Error::UnsupportedModel(format!("a head width of {head_dim}; at most {MAX_HEAD_DIM} is supported")));
    }
    Ok(head_dim)
}

/// Scaling of rotary positions, by its type or by one of the two factors that older files give without one.
fn refuse_scaled_rope(keys: &Keys<'_>) -> Result<()> {
    match keys.get("rope.scaling.type") {
        Some(Value::Text(kind)) if kind == "none" => return Ok(()),
        None => {}
        Some(other) => {
            return Err(Error::UnsupportedModel(format!("{} is {other}; only 'none' is supported", keys.full("rope.scaling.type"))));
        }
    }
    for key in ["rope.scaling.factor", "rope.scale_linear"] {
        match keys.get(key) {
            None => {}
            // Writers put 0 where there is none.
            Some(Value::Float(factor)) if *factor == 1.0 || *factor == 0.0 => {}
            Some(other) => return Err(Error::UnsupportedModel(format!("{} is {other}; only 1 is supported", keys.full(key)))),
        }
    }
    Ok(())
}

fn token(header: &Header, key: &str, vocabulary: usize) -> Result<Option<u32>> {
    match header.metadata.get(key) {
        None => Ok(None),
        Some(Value::Integer(n)) if *n >= 0 && *n < vocabulary as i128 => Ok(u32::try_from(*n).ok()),
        other => Err(wrong(key, &format!("an integer below the vocabulary's {vocabulary}"), other)),
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
        return Err(keys.wrong("layer.mixers", &format!("an array of {count} strings")));
    }
    let experts = experts(keys, feed_forwards, inner)?;
    (0..count)
        .map(|index| {
            let mixer = match mixers {
                None => Mixer { linear: None, softmax: Some(Softmax::Full), evicted: None, separate_projections: false },
                Some(names) => mixer(keys, &names[index], index)?,
            };
            let feed_forward = match (feed_forwards.map(|names| names[index].as_str()), experts) {
                (None | Some("dense"), _) => FeedForward::Dense(inner),
                (Some("moe"), Some(experts)) => FeedForward::Experts(experts),
                (Some(other), _) => return Err(wrong_layer(keys, "layer.feed_forwards", index, "'dense' or 'moe'", other)),
            };
            Ok(Layer { mixer, feed_forward })
        })
        .collect()
}

fn wrong_layer(keys: &Keys<'_>, key: &str, index: usize, rule: &str, found: &str) -> Error {
    Error::InvalidGguf(format!("{}[{index}] must be {rule}; it is '{found}'", keys.full(key)))
}

fn mixer(keys: &Keys<'_>, text: &str, index: usize) -> Result<Mixer> {
    const RULE: &str = "'evicted', 'linear', 'window' or 'full', or 'linear' and one of the latter two joined by '+'";
    let mut mixer = Mixer {
        linear: None,
        softmax: None,
        evicted: None,
        separate_projections: keys.choice("parallel.projections", &[("shared", false), ("separate", true)], false)?,
    };
    for branch in text.split('+') {
        let softmax = match branch {
            "linear" if mixer.linear.is_none() => {
                mixer.linear = Some(linear(keys)?);
                continue;
            }
            "window" => Softmax::Window(keys.size("attention.sliding_window", MAX_CONTEXT)?),
            "evicted" if text == "evicted" => {
                mixer.evicted = Some(evicted(keys)?);
                Softmax::Window(keys.size("attention.sliding_window", MAX_CONTEXT)?)
            }
            "full" => Softmax::Full,
            _ => return Err(wrong_layer(keys, "layer.mixers", index, RULE, text)),
        };
        if mixer.softmax.replace(softmax).is_some() {
            return Err(wrong_layer(keys, "layer.mixers", index, RULE, text));
        }
    }
    Ok(mixer)
}

fn evicted(keys: &Keys<'_>) -> Result<Evicted> {
    let Some(sink_cap) = keys.optional_size("evicted.sink_cap", MAX_CONTEXT)? else {
        return Err(keys.wrong("evicted.sink_cap", "given where a layer has an evicted mixer"));
    };
    Ok(Evicted {
        sink_cap,
        salient: keys.size("evicted.salient", MAX_CONTEXT)?,
        salience_half_life: keys.size("evicted.salience_half_life", MAX_CONTEXT)?,
    })
}

fn linear(keys: &Keys<'_>) -> Result<Linear> {
    #[allow(clippy::cast_possible_truncation)]
    let learned = Gate::Learned { normalizer: keys.float("linear.gate_normalizer", Some(16.0))? as f32 };
    let feature_map =
        keys.choice("linear.feature_map", &[("relu", FeatureMap::Relu), ("sigmoid", FeatureMap::Sigmoid)], FeatureMap::Relu)?;
    let gate = keys.choice("linear.gate", &[("learned", learned), ("one_minus_key", Gate::OneMinusKey)], learned)?;
    // 1 - relu(k) can be negative, which is no decay.
    if gate == Gate::OneMinusKey && feature_map != FeatureMap::Sigmoid {
        return Err(keys.wrong("linear.feature_map", "'sigmoid' where the gate is 'one_minus_key'"));
    }
    Ok(Linear { feature_map, gate, head_norm: keys.flag("linear.head_norm", true)? })
}

/// What the `moe` layers share; `None` when there are none.
fn experts(keys: &Keys<'_>, feed_forwards: Option<&[String]>, inner: usize) -> Result<Option<Experts>> {
    if !feed_forwards.is_some_and(|names| names.iter().any(|name| name == "moe")) {
        return Ok(None);
    }
    let count = keys.size("expert_count", MAX_EXPERTS)?;
    let used = keys.size("expert_used_count", count)?;
    let inner = keys.optional_size("expert_feed_forward_length", MAX_WIDTH)?.filter(|n| *n > 0).unwrap_or(inner);
    // The experts' matrices are stacked in one, and a product starts at a panel.
    let hidden = keys.size("embedding_length", MAX_WIDTH)?;
    if !inner.is_multiple_of(PANEL_ROWS) || !hidden.is_multiple_of(PANEL_ROWS) {
        return Err(keys.wrong("expert_feed_forward_length", &format!("a multiple of {PANEL_ROWS}, as must be the width {hidden}")));
    }
    if inner.max(hidden).saturating_mul(count) > MAX_EXPERT_ROWS {
        return Err(keys.wrong("expert_count", &format!("at most {MAX_EXPERT_ROWS} rows of all experts together")));
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
