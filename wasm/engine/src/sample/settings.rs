//! How tokens are chosen, as a caller says it.

use super::SMALLEST_PENALTY;
use crate::error::{Error, Result};

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
    pub(super) fn keeps_within_range(&self, logits: &[f32], output: usize) -> bool {
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
