//! From logits to a token.
//!
//! Log-probabilities are the model's own: before bias, penalties and temperature. Randomness is a function of the seed and of how many tokens
//! have been sampled, so a sequence that is evicted, saved or moved goes on with the same tokens.

use core::ops::{Add, Div, Mul, Sub};

use crate::error::{Error, Result};
use crate::math::{exp, largest};
use crate::token_set::TokenSet;

/// Penalties smaller than this divide as this one does: what they divide is further apart than any weight reaches either way, and f64 holds it.
const SMALLEST_PENALTY: f64 = 1e-150;

/// How the next token is chosen; ranges are those of `workers/contracts/engine.ts`.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// 0 is greedy.
    pub temperature: f32,
    /// 0 keeps all.
    pub top_k: usize,
    /// 1 keeps all. In double precision, where every number of a client's that is not 0 stays one.
    pub top_p: f64,
    /// 0 keeps all.
    pub min_p: f32,
    /// 1 is off; applies to prompt and output. In double precision, as `top_p`.
    pub repetition_penalty: f64,
    /// Per token that the output holds.
    pub presence_penalty: f32,
    /// Per occurrence in the output.
    pub frequency_penalty: f32,
    /// Token and addend.
    pub logit_bias: Vec<(u32, f32)>,
    /// Same seed, same tokens.
    pub seed: u64,
    /// Stop tokens are out of reach before this many tokens.
    pub min_tokens: usize,
    /// Tokens that end the output.
    pub stop_tokens: Vec<u32>,
    /// Of which alone is chosen; all of them where it is `None`.
    pub allowed_tokens: Option<Vec<u32>>,
    /// Series of tokens that the output does not hold; none of them is empty.
    pub banned_series: Vec<Vec<u32>>,
    /// Alternatives to report; `None` reports nothing.
    pub top_logprobs: Option<usize>,
    /// Tokens that are reported in the place of the likeliest; empty where those are.
    pub scored_tokens: Vec<u32>,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            logit_bias: Vec::new(),
            seed: 0,
            min_tokens: 0,
            stop_tokens: Vec::new(),
            allowed_tokens: None,
            banned_series: Vec::new(),
            top_logprobs: None,
            scored_tokens: Vec::new(),
        }
    }
}

impl Sampling {
    /// Refuses what is out of range, by name.
    pub fn check(&self, vocabulary: usize) -> Result<()> {
        let in_range = |name: &str, value: f64, low: f64, high: f64, low_allowed: bool| {
            if value.is_finite() && value <= high && (value > low || (low_allowed && value >= low)) {
                return Ok(());
            }
            let from = if low_allowed { "from" } else { "above" };
            Err(Error::InvalidArgument(format!("{name} must be {from} {low} and at most {high}; it is {value}")))
        };
        in_range("temperature", f64::from(self.temperature), 0.0, 2.0, true)?;
        in_range("topP", self.top_p, 0.0, 1.0, false)?;
        in_range("minP", f64::from(self.min_p), 0.0, 1.0, true)?;
        in_range("repetitionPenalty", self.repetition_penalty, 0.0, 2.0, false)?;
        in_range("presencePenalty", f64::from(self.presence_penalty), -2.0, 2.0, true)?;
        in_range("frequencyPenalty", f64::from(self.frequency_penalty), -2.0, 2.0, true)?;
        for (token, bias) in &self.logit_bias {
            in_range("logitBias", f64::from(*bias), -100.0, 100.0, true)?;
            if *token as usize >= vocabulary {
                return Err(Error::InvalidArgument(format!("logitBias names token {token}; the vocabulary has {vocabulary}")));
            }
        }
        if self.banned_series.iter().any(Vec::is_empty) {
            return Err(Error::InvalidArgument("bannedSeries must hold series of at least one token; one is empty".to_owned()));
        }
        let known = |name: &str, tokens: &[u32]| match tokens.iter().find(|token| **token as usize >= vocabulary) {
            Some(token) => Err(Error::InvalidArgument(format!("{name} names token {token}; the vocabulary has {vocabulary}"))),
            None => Ok(()),
        };
        known("stopTokens", &self.stop_tokens)?;
        known("scoredTokens", &self.scored_tokens)?;
        known("allowedTokens", self.allowed_tokens.as_deref().unwrap_or_default())?;
        self.banned_series.iter().try_for_each(|series| known("bannedSeries", series))
    }

    /// Whether no finite logit can leave f32 by bias and penalties. Only a tiny penalty takes numbers of a model's own size out of it.
    fn keeps_within_range(&self, logits: &[f32], output: usize) -> bool {
        let subtracts = self.presence_penalty != 0.0 || self.frequency_penalty != 0.0;
        if self.logit_bias.is_empty() && self.repetition_penalty == 1.0 && !subtracts {
            return true;
        }
        let biases: f64 = self.logit_bias.iter().map(|(_, bias)| f64::from(bias.abs())).sum();
        let penalty = self.repetition_penalty.max(SMALLEST_PENALTY);
        #[allow(clippy::cast_precision_loss)]
        let subtracted = f64::from(self.presence_penalty.abs()) + f64::from(self.frequency_penalty.abs()) * output as f64;
        // Half, so that no step's rounding matters.
        #[allow(clippy::cast_possible_truncation)]
        let bound = ((f64::from(f32::MAX) / 2.0 - subtracted) * penalty.min(1.0 / penalty) - biases) as f32;
        logits.iter().filter(|logit| logit.is_finite() && logit.abs() >= bound).count() == 0
    }
}

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
mod tests {
    use super::*;

    fn after(tokens: &[u32], prompt: usize) -> History<'_> {
        History { seen: None, tokens, prompt }
    }

    fn run(sampling: &Sampling, history: &[u32], prompt: usize, logits: &[f32]) -> u32 {
        sample(sampling, after(history, prompt), None, &mut logits.to_vec()).unwrap().id
    }

    fn counts(sampling: &Sampling, logits: &[f32], draws: u64) -> Vec<f64> {
        let mut counts = vec![0.0; logits.len()];
        for seed in 0..draws {
            counts[run(&Sampling { seed, ..sampling.clone() }, &[], 0, logits) as usize] += 1.0 / draws as f64;
        }
        counts
    }

    #[test]
    fn greedy_takes_the_largest_and_the_first_of_equals() {
        assert_eq!(run(&Sampling::default(), &[], 0, &[1.0, 3.0, 3.0, f32::NAN]), 1);
    }

    /// The same numbers as in `gpu-backend/spikingbrain/sampling/draws.py`.
    #[test]
    fn draws_are_the_references() {
        #[derive(serde::Deserialize)]
        struct File {
            /// Seed, number, and the draw's 53 bits.
            draws: Vec<(String, usize, u64)>,
        }
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../test/golden/choices/choices.json");
        let file: File = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert!(file.draws.len() > 200);
        for (seed, number, bits) in file.draws {
            assert_eq!(uniform(seed.parse().unwrap(), number), bits as f64 / (1u64 << 53) as f64, "seed {seed}, number {number}");
        }
    }

    #[test]
    fn draws_follow_the_softmax() {
        let logits = [0.0, 1.0, 2.0, -1.0];
        let shares = counts(&Sampling { temperature: 1.0, ..Sampling::default() }, &logits, 40_000);
        let total: f64 = logits.iter().map(|x: &f32| f64::from(*x).exp()).sum();
        for (share, logit) in shares.iter().zip(logits) {
            assert!((share - f64::from(logit).exp() / total).abs() < 0.01, "{shares:?}");
        }
    }

    #[test]
    fn filters_keep_what_they_say() {
        let logits = [0.0f32, 1.0, 2.0, 3.0];
        let one = Sampling { temperature: 1.0, ..Sampling::default() };
        let support = |sampling: &Sampling| counts(sampling, &logits, 4_000).iter().filter(|share| **share > 0.0).count();
        assert_eq!(support(&Sampling { top_k: 2, ..one.clone() }), 2);
        // Shares are 0.64, 0.24, 0.09, 0.03.
        assert_eq!(support(&Sampling { top_p: 0.6, ..one.clone() }), 1);
        assert_eq!(support(&Sampling { top_p: 0.7, ..one.clone() }), 2);
        assert_eq!(support(&Sampling { min_p: 0.2, ..one.clone() }), 2);
        assert_eq!(support(&Sampling { top_k: 3, top_p: 0.9, ..one.clone() }), 2);
        assert_eq!(support(&one), 4);
    }

    #[test]
    fn penalties_bias_and_minimum_length_change_the_choice() {
        let logits = [1.0f32, 2.0, 1.9];
        let base = Sampling::default();
        assert_eq!(run(&Sampling { repetition_penalty: 1.2, ..base.clone() }, &[1], 1, &logits), 2);
        assert_eq!(run(&Sampling { presence_penalty: 0.2, ..base.clone() }, &[1], 1, &logits), 1, "the prompt does not count");
        assert_eq!(run(&Sampling { presence_penalty: 0.2, ..base.clone() }, &[0, 1], 1, &logits), 2);
        assert_eq!(run(&Sampling { frequency_penalty: 0.06, ..base.clone() }, &[0, 1, 1], 1, &logits), 2);
        assert_eq!(run(&Sampling { logit_bias: vec![(0, 5.0)], ..base.clone() }, &[], 0, &logits), 0);
        let stopping = Sampling { stop_tokens: vec![1], min_tokens: 1, ..base };
        assert_eq!(run(&stopping, &[5], 1, &logits), 2);
        assert!(sample(&stopping, after(&[5, 2], 1), None, &mut logits.to_vec()).unwrap().stop);
    }

    #[test]
    fn a_repetition_penalty_sees_what_stands_before_the_tokens() {
        let mut seen = TokenSet::new(3);
        seen.insert(&[1, 1]).unwrap();
        let sampling = Sampling { repetition_penalty: 1.2, presence_penalty: 2.0, ..Sampling::default() };
        let history = History { seen: Some(&seen), tokens: &[], prompt: 0 };
        assert_eq!(sample(&sampling, history, None, &mut [1.0, 2.0, 1.9]).unwrap().id, 2);
        assert_eq!(sample(&sampling, history, None, &mut [1.0, 2.4, 1.9]).unwrap().id, 1, "no output, no presence");
    }

    #[test]
    fn logprobs_are_those_of_the_model() {
        let sampling = Sampling { logit_bias: vec![(0, 50.0)], top_logprobs: Some(2), ..Sampling::default() };
        let sampled = sample(&sampling, after(&[], 0), None, &mut [0.0, 1.0, 2.0]).unwrap();
        let logprob = sampled.logprob.unwrap();
        let total = 1.0f32 + 1.0f32.exp() + 2.0f32.exp();
        assert_eq!(sampled.id, 0);
        assert!((logprob.logprob + total.ln()).abs() < 1e-6);
        assert_eq!(logprob.top.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn what_is_forbidden_is_not_chosen_and_logprobs_do_not_know() {
        let logits = [1.0f32, 2.0, 3.0, 4.0];
        let base = Sampling { top_logprobs: Some(1), ..Sampling::default() };
        let chosen = |sampling: &Sampling, output: &[u32], mask: Option<&TokenSet>| {
            let sampled = sample(sampling, after(output, 0), mask, &mut logits.to_vec())?;
            assert_eq!(sampled.logprob.unwrap().top[0].0, 3, "of the model, whatever may be chosen");
            Ok::<u32, Error>(sampled.id)
        };
        let mask = TokenSet::from_bits(4, &[0b0101]).unwrap();
        assert_eq!(chosen(&base, &[], Some(&mask)).unwrap(), 2);
        let warm = Sampling { temperature: 2.0, ..base.clone() };
        assert!((0..200).all(|seed| [0, 2].contains(&chosen(&Sampling { seed, ..warm.clone() }, &[], Some(&mask)).unwrap())));
        let allowed = Sampling { allowed_tokens: Some(vec![0, 1]), ..base.clone() };
        assert_eq!(chosen(&allowed, &[], None).unwrap(), 1);
        assert_eq!(chosen(&allowed, &[], Some(&mask)).unwrap(), 0, "both rules hold");
        let banned = Sampling { banned_series: vec![vec![3], vec![1, 0, 2]], ..base.clone() };
        assert_eq!(chosen(&banned, &[0], None).unwrap(), 2);
        assert_eq!(chosen(&banned, &[2, 1, 0], None).unwrap(), 1);
        let nothing = Sampling { allowed_tokens: Some(vec![1]), ..base };
        assert!(chosen(&nothing, &[], Some(&mask)).unwrap_err().to_string().contains("every token is forbidden"));
    }

    #[test]
    fn broken_logits_are_an_error() {
        assert!(sample(&Sampling::default(), after(&[], 0), None, &mut [f32::NAN; 3]).is_err());
        assert!(sample(&Sampling { temperature: 1.0, ..Sampling::default() }, after(&[], 0), None, &mut [f32::NAN; 3]).is_err());
    }

    #[test]
    fn ranges_are_checked_by_name() {
        let bad = Sampling { top_p: 0.0, ..Sampling::default() };
        assert!(bad.check(10).unwrap_err().to_string().contains("topP"));
        let bad = Sampling { stop_tokens: vec![10], ..Sampling::default() };
        assert!(bad.check(10).unwrap_err().to_string().contains("stopTokens"));
        let bad = Sampling { allowed_tokens: Some(vec![10]), ..Sampling::default() };
        assert!(bad.check(10).unwrap_err().to_string().contains("allowedTokens"));
        let bad = Sampling { banned_series: vec![vec![1, 10]], ..Sampling::default() };
        assert!(bad.check(10).unwrap_err().to_string().contains("bannedSeries"));
        let bad = Sampling { banned_series: vec![Vec::new()], ..Sampling::default() };
        assert!(bad.check(10).unwrap_err().to_string().contains("one is empty"));
    }
}
