//! From logits to a token.
//!
//! Log-probabilities are the model's own: before bias, penalties and temperature. Randomness is a function of the seed and of how many tokens
//! have been sampled, so a sequence that is evicted, saved or moved goes on with the same tokens.

mod settings;

pub use settings::Sampling;

use core::ops::{Add, Div, Mul, Sub};

use crate::error::{Error, Result};
use crate::math::{exp, largest};
use crate::token_set::TokenSet;

/// Penalties smaller than this divide as this one does: what they divide is further apart than any weight reaches either way, and f64 holds it.
const SMALLEST_PENALTY: f64 = 1e-150;

/// A token's natural-log probability and the best alternatives, best first.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogprob {
    /// The token.
    pub id: u32,
    /// Its log-probability.
    pub logprob: f32,
    /// Token and log-probability.
    pub top: Vec<(u32, f32)>,
}

/// A chosen token.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampled {
    /// The token.
    pub id: u32,
    /// Whether it is a stop token.
    pub stop: bool,
    /// Where asked for.
    pub logprob: Option<TokenLogprob>,
}

/// Log-probability of `id` under `logits`, with `top` alternatives.
pub fn token_logprob(logits: &[f32], id: u32, top: usize) -> TokenLogprob {
    logprobs_of(logits, id, &best(logits, top))
}

/// Log-probabilities of `id` and of `others`. `f32::MIN` stands for none at all, because JSON has no infinity.
fn logprobs_of(logits: &[f32], id: u32, others: &[u32]) -> TokenLogprob {
    let numbers = || logits.iter().copied().filter(|x| !x.is_nan());
    let largest = numbers().fold(f32::NEG_INFINITY, f32::max);
    let total: f64 = numbers().map(|x| f64::from(exp(x - largest))).sum();
    #[allow(clippy::cast_possible_truncation)]
    let normalizer = largest + libm::log(total) as f32;
    let logprob = |id: u32| (logits[id as usize] - normalizer).max(f32::MIN);
    TokenLogprob { id, logprob: logprob(id), top: others.iter().map(|id| (*id, logprob(*id))).collect() }
}

fn better(logits: &[f32]) -> impl Fn(&u32, &u32) -> core::cmp::Ordering {
    |a, b| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b))
}

/// The largest, of equals the first; what is no number is passed over.
#[allow(clippy::cast_possible_truncation)]
fn greatest(logits: &[f32]) -> Option<u32> {
    // Only those as large as the largest are compared.
    let least = largest(logits);
    (0..logits.len() as u32).filter(|id| logits[*id as usize] >= least).min_by(better(logits))
}

/// The `count` largest, best first, ties by the smaller id; what is no number compares with nothing.
fn best(logits: &[f32], count: usize) -> Vec<u32> {
    let count = count.min(logits.len());
    if count < 2 {
        return greatest(logits).into_iter().take(count).collect();
    }
    #[allow(clippy::cast_possible_truncation)]
    let mut ids: Vec<u32> = (0..logits.len() as u32).filter(|id| logits[*id as usize] >= f32::NEG_INFINITY).collect();
    if ids.len() > count {
        ids.select_nth_unstable_by(count - 1, better(logits));
        ids.truncate(count);
    }
    ids.sort_unstable_by(better(logits));
    ids
}

/// The text that a token is chosen after.
#[derive(Debug, Clone, Copy)]
pub struct History<'a> {
    /// What stands before `tokens`, in any order; only a repetition penalty looks at it.
    pub seen: Option<&'a TokenSet>,
    /// The text, or its end with all of the output.
    pub tokens: &'a [u32],
    /// How many of `tokens` come before the output.
    pub prompt: usize,
}

impl<'a> History<'a> {
    fn output(self) -> &'a [u32] {
        &self.tokens[self.prompt..]
    }
}

/// Chooses the token after `history`, of those in `mask` where there is one. `logits` are changed.
pub fn sample(sampling: &Sampling, history: History<'_>, mask: Option<&TokenSet>, logits: &mut [f32]) -> Result<Sampled> {
    let reports = sampling.top_logprobs.is_some() || !sampling.scored_tokens.is_empty();
    let raw = reports.then(|| logits.to_vec());
    let generated = history.output().len();
    let forbids_all = forbid(sampling, history.output(), mask, logits)?;
    adjust(sampling, history, logits)?;
    let id = if sampling.temperature == 0.0 { greatest(logits) } else { draw(sampling, generated, logits) };
    let id = id.filter(|id| logits[*id as usize].is_finite()).ok_or_else(|| {
        if forbids_all {
            let rules = "the mask, the allowed tokens, the banned series and what ends the answer";
            return Error::InvalidArgument(format!("every token is forbidden: {rules} together leave none"));
        }
        Error::UnsupportedModel("its logits are not finite: the weights are broken, or every token is forbidden".to_owned())
    })?;
    let logprob = raw.map(|raw| match sampling.scored_tokens.as_slice() {
        [] => token_logprob(&raw, id, sampling.top_logprobs.unwrap_or(0)),
        scored => logprobs_of(&raw, id, scored),
    });
    Ok(Sampled { id, stop: sampling.stop_tokens.contains(&id), logprob })
}

/// Takes out of the choice what the mask, the allowed tokens and the banned series leave no room for. Whether there was anything to choose before.
fn forbid(sampling: &Sampling, output: &[u32], mask: Option<&TokenSet>, logits: &mut [f32]) -> Result<bool> {
    let forbids = mask.is_some() || sampling.allowed_tokens.is_some() || !sampling.banned_series.is_empty();
    let could_choose = forbids && logits.iter().any(|logit| logit.is_finite());
    if let Some(mask) = mask {
        keep_only(mask, logits);
    }
    if let Some(tokens) = &sampling.allowed_tokens {
        let mut allowed = TokenSet::new(logits.len());
        allowed.insert(tokens)?;
        keep_only(&allowed, logits);
    }
    for series in &sampling.banned_series {
        if let Some((last, before)) = series.split_last()
            && output.ends_with(before)
        {
            logits[*last as usize] = f32::NEG_INFINITY;
        }
    }
    Ok(could_choose)
}

fn keep_only(allowed: &TokenSet, logits: &mut [f32]) {
    for (_, logit) in logits.iter_mut().enumerate().filter(|(token, _)| !allowed.contains(*token)) {
        *logit = f32::NEG_INFINITY;
    }
}

/// Bias and penalties; tokens that may not be chosen get no weight at all.
fn adjust(sampling: &Sampling, history: History<'_>, logits: &mut [f32]) -> Result<()> {
    for logit in logits.iter_mut().filter(|logit| logit.is_nan()) {
        *logit = f32::NEG_INFINITY;
    }
    if history.output().len() < sampling.min_tokens {
        for token in &sampling.stop_tokens {
            logits[*token as usize] = f32::NEG_INFINITY;
        }
    }
    if sampling.keeps_within_range(logits, history.output().len()) {
        return apply(sampling, history, logits);
    }
    // Choices depend on differences only, so what has outgrown f32 is told by its distance from the largest.
    let mut wide: Vec<f64> = logits.iter().copied().map(f64::from).collect();
    apply(sampling, history, &mut wide)?;
    let largest = wide.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if largest.is_finite() {
        for (logit, value) in logits.iter_mut().zip(wide) {
            #[allow(clippy::cast_possible_truncation)]
            let below = (value - largest) as f32;
            *logit = if value == f64::NEG_INFINITY { f32::NEG_INFINITY } else { below.max(f32::MIN) };
        }
    }
    Ok(())
}

/// What bias and penalties do, in either precision.
fn apply<T: Real>(sampling: &Sampling, history: History<'_>, logits: &mut [T]) -> Result<()> {
    for (token, bias) in &sampling.logit_bias {
        let logit = &mut logits[*token as usize];
        *logit = *logit + T::from(*bias);
    }
    if sampling.repetition_penalty != 1.0 {
        let penalty = T::rounded(sampling.repetition_penalty.max(SMALLEST_PENALTY));
        let mut seen = history.seen.map_or_else(|| Ok(TokenSet::new(logits.len())), TokenSet::copy)?;
        seen.insert(history.tokens)?;
        for token in seen.tokens() {
            let logit = &mut logits[token as usize];
            *logit = if *logit > T::from(0.0) { *logit / penalty } else { *logit * penalty };
        }
    }
    if sampling.presence_penalty != 0.0 || sampling.frequency_penalty != 0.0 {
        let mut output = history.output().to_vec();
        output.sort_unstable();
        for run in output.chunk_by(|a, b| a == b) {
            #[allow(clippy::cast_precision_loss)]
            let count = run.len() as f32;
            let logit = &mut logits[run[0] as usize];
            *logit = *logit - T::from(sampling.presence_penalty + sampling.frequency_penalty * count);
        }
    }
    Ok(())
}

/// f32, or f64 where f32 would not hold the result.
trait Real: Copy + PartialOrd + From<f32> + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> {
    fn rounded(value: f64) -> Self;
}

impl Real for f32 {
    #[allow(clippy::cast_possible_truncation)]
    fn rounded(value: f64) -> Self {
        value as Self
    }
}

impl Real for f64 {
    fn rounded(value: f64) -> Self {
        value
    }
}

/// Temperature, then top-k, top-p among those, min-p against the best, then one draw.
fn draw(sampling: &Sampling, generated: usize, logits: &[f32]) -> Option<u32> {
    let largest = largest(logits);
    if !largest.is_finite() {
        return None;
    }
    // A division, because the inverse of a tiny temperature is infinite.
    let weight = |id: u32| f64::from(exp((logits[id as usize] - largest) / sampling.temperature));
    #[allow(clippy::cast_possible_truncation)]
    let all = 0..logits.len() as u32;
    let few = sampling.top_k > 0 && sampling.top_k < logits.len();
    let mut kept: Vec<u32> = match (few, sampling.top_p < 1.0) {
        (true, _) => best(logits, sampling.top_k),
        (false, true) => nucleus_candidates(logits, largest, sampling),
        (false, false) => all.clone().collect(),
    };
    if sampling.top_p < 1.0 {
        let total: f64 = if few { kept.iter().copied().map(weight).sum() } else { all.map(weight).sum() };
        let mut sum = 0.0;
        let end = kept.iter().position(|id| {
            sum += weight(*id);
            sum >= sampling.top_p * total
        });
        kept.truncate(end.map_or(kept.len(), |index| index + 1));
    }
    if sampling.min_p > 0.0 {
        kept.retain(|id| weight(*id) >= f64::from(sampling.min_p));
    }
    let total: f64 = kept.iter().copied().map(weight).sum();
    let mut left = uniform(sampling.seed, generated) * total;
    let chosen = kept.iter().copied().find(|id| {
        left -= weight(*id);
        left < 0.0
    });
    chosen.or(kept.into_iter().rev().find(|id| weight(*id) > 0.0))
}

/// Best first, at least as many as hold `top_p` of all weight: sorts only what lies close enough to the best to matter.
fn nucleus_candidates(logits: &[f32], largest: f32, sampling: &Sampling) -> Vec<u32> {
    let below = |logit: f32| (largest - logit) / sampling.temperature;
    let weight = |logit: f32| f64::from(exp(-below(logit)));
    let total: f64 = logits.iter().copied().map(weight).sum();
    let reach = [4.0, 8.0, 16.0].into_iter().find(|reach| {
        let near = logits.iter().copied().filter(|logit| below(*logit) <= *reach);
        near.map(weight).sum::<f64>() >= sampling.top_p * total
    });
    #[allow(clippy::cast_possible_truncation)]
    let mut ids: Vec<u32> = (0..logits.len() as u32).filter(|id| reach.is_none_or(|reach| below(logits[*id as usize]) <= reach)).collect();
    ids.sort_unstable_by(better(logits));
    ids
}

/// In [0, 1): SplitMix64 of the seed and the token's number. Every seed begins at a place of its own.
fn uniform(seed: u64, number: usize) -> f64 {
    let mut z = (seed.rotate_left(32) ^ 0x5bd1_e995).wrapping_add((number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    #[allow(clippy::cast_precision_loss)]
    {
        (z >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests;
