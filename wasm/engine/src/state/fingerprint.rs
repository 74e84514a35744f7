//! What decides a state's meaning, as a text that Python makes too, and its SHA-256.
//!
//! One `key=value` a line, in this order, each line ended by a newline. Numbers that a file holds as f32 are the eight hexadecimal digits of
//! its bits; a count that the model has no use for is 0, a word `none`. The model's name and vocabulary's tokens decide nothing, and the
//! weights are the caller's affair.

use crate::config::{Config, Evicted, Experts, FeatureMap, FeedForward, Gate, Layer, Linear, Softmax};
use crate::spike::{Site, Spiking};
use core::fmt::Write;
use sha2::{Digest, Sha256};

/// SHA-256 of [`description`].
pub fn fingerprint(config: &Config) -> [u8; 32] {
    Sha256::digest(description(config)).into()
}

/// See the module.
pub fn description(config: &Config) -> String {
    let linear = config.layers.iter().find_map(|layer| layer.mixer.linear);
    let window = config.layers.iter().find_map(|layer| match layer.mixer.softmax {
        Some(Softmax::Window(width)) => Some(width),
        _ => None,
    });
    let separate = config.layers.iter().any(|layer| layer.mixer.is_parallel() && layer.mixer.separate_projections);
    let mut text = Text(String::from("spikingbrain state\n"));
    text.line("hidden", config.hidden);
    text.line("heads", config.heads);
    text.line("kv_heads", config.kv_heads);
    text.line("head_dim", config.head_dim);
    text.line("vocabulary", config.vocabulary);
    text.line("epsilon", bits(f64::from(config.epsilon)));
    text.line("rope_theta", bits(config.rope_theta));
    text.line("rope_dim", config.rope_dim);
    text.line("learned_sinks", config.learned_sinks);
    text.line("kept_tokens", config.kept_tokens);
    text.line("window", window.unwrap_or(0));
    text.line("layers", config.layers.iter().map(Layer::to_string).collect::<Vec<_>>().join(","));
    text.line("parallel_projections", if separate { "separate" } else { "shared" });
    // The engine has these choices of Python's config in one form only.
    text.line("branch_norm", "full");
    text.line("linear", linear.map_or_else(|| "none".to_owned(), linear_name));
    text.line("evicted", config.evicted().map_or_else(|| "none".to_owned(), evicted_name));
    text.line("inner", config.layers.iter().find_map(dense_inner).unwrap_or(0));
    text.line("experts", config.layers.iter().find_map(experts_of).map_or_else(|| "none".to_owned(), experts_name));
    text.line("spiking", config.spiking.mode.name());
    text.line("spiking_k", thresholds(&config.spiking));
    text.0
}

struct Text(String);

impl Text {
    fn line(&mut self, key: &str, value: impl core::fmt::Display) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{key}={value}");
    }
}

#[allow(clippy::cast_possible_truncation)]
fn bits(value: f64) -> String {
    format!("{:08x}", (value as f32).to_bits())
}

/// Feature map, gate with its normalizer, then whether heads are normed, queries and keys rotated, and sinks read.
fn linear_name(linear: Linear) -> String {
    let map = match linear.feature_map {
        FeatureMap::Relu => "relu",
        FeatureMap::Sigmoid => "sigmoid",
    };
    let gate = match linear.gate {
        Gate::Learned { normalizer } => format!("learned/{}", bits(f64::from(normalizer))),
        Gate::OneMinusKey => "one_minus_key/00000000".to_owned(),
    };
    format!("{map}/{gate}/{}/false/true", linear.head_norm)
}

/// Cap of the sinks, salient tokens, half-life of their claims.
fn evicted_name(evicted: Evicted) -> String {
    let Evicted { sink_cap, salient, salience_half_life } = evicted;
    format!("{sink_cap}/{salient}/{salience_half_life}")
}

/// One k, or where sites differ that of every site.
fn thresholds(spiking: &Spiking) -> String {
    if spiking.site_k.iter().all(Option::is_none) {
        return bits(spiking.k);
    }
    Site::ALL.map(|site| bits(spiking.k_at(site))).join("/")
}

fn dense_inner(layer: &Layer) -> Option<usize> {
    match layer.feed_forward {
        FeedForward::Dense(inner) => Some(inner),
        FeedForward::Experts(_) => None,
    }
}

fn experts_of(layer: &Layer) -> Option<Experts> {
    match layer.feed_forward {
        FeedForward::Dense(_) => None,
        FeedForward::Experts(experts) => Some(experts),
    }
}

/// Count, used, inner, inner of the shared one, router, and whether scores are normalised.
fn experts_name(experts: Experts) -> String {
    let Experts { count, used, inner, shared_inner, sigmoid, normalised } = experts;
    format!("{count}/{used}/{inner}/{shared_inner}/{}/{normalised}", if sigmoid { "sigmoid" } else { "softmax" })
}
