//! What an engine takes of the memory beside weights and states.

use super::{MAX_LOGIT_ROWS, UsedBytes};
use crate::config::Config;
use crate::error::Result;
use crate::layer::gated_linear::CHUNK_TOKENS;
use crate::memory::{Allowance, bytes_of};
use crate::model::{MAX_PASS_TOKENS, Model, Scratch};
use crate::state::{KvType, State};

/// Bytes left to the allocator's own needs and to what is allocated for a moment, beside sampling's copies of the logits.
const SLACK_BYTES: usize = 1 << 20;
/// Sampling sorts ids of the whole vocabulary and, for log-probabilities, keeps the logits as they came: 4 bytes each.
const SAMPLING_BYTES_PER_TOKEN: usize = 8;
/// Tokens of a pass where memory is short: a chunk of linear attention.
const SHORT_PASS_TOKENS: usize = CHUNK_TOKENS;
/// Where every window is full and every slot is taken.
const FAR_POSITION: usize = 1 << 30;
/// Attention's buffers are made for so many tokens at first.
const FIRST_POSITIONS: usize = 1_024;

/// The buffers of a pass and how many tokens it has: fewer where else a state that does not grow for ever would not fit beside them. How
/// many makes no difference to any result.
pub(super) fn buffers(model: &Model, kv_type: KvType, free: usize) -> Result<(usize, Scratch)> {
    const WHAT: &str = "the buffers of a pass";
    let config = model.config();
    let part = model.part();
    let first = FIRST_POSITIONS.min(config.context + config.learned_sinks);
    let most = most_pass_tokens(config);
    if config.has_constant_state() {
        for tokens in [most, SHORT_PASS_TOKENS] {
            let mut scratch = Scratch::default();
            let state = State::bytes_at(part, kv_type, FAR_POSITION, tokens);
            let mut allowance = Allowance::new(WHAT, free.saturating_sub(state));
            if model.reserve(&mut scratch, tokens, first, &mut allowance).is_ok() {
                return Ok((tokens, scratch));
            }
        }
    }
    let mut scratch = Scratch::default();
    model.reserve(&mut scratch, most, first, &mut Allowance::new(WHAT, free))?;
    Ok((most, scratch))
}

/// A part of a model has short passes: its memory is full of weights.
fn most_pass_tokens(config: &Config) -> usize {
    if config.is_whole() { MAX_PASS_TOKENS } else { SHORT_PASS_TOKENS }
}

/// Bytes that state may take under a limit.
pub(super) fn free_bytes(limit: Option<(usize, UsedBytes)>, config: &Config) -> usize {
    limit.map_or(usize::MAX, |(limit, used)| limit.saturating_sub(used().saturating_add(kept_back(config))))
}

/// What is never given to a state.
pub(crate) fn kept_back(config: &Config) -> usize {
    let sampling = config.vocabulary.saturating_mul(SAMPLING_BYTES_PER_TOKEN);
    let exchange = if config.is_whole() { 0 } else { exchange_bytes(config) };
    SLACK_BYTES.saturating_add(sampling).saturating_add(exchange)
}

/// What a pass takes on its way between parts: rows as bytes and as numbers, those that come and those that go, and logits likewise.
fn exchange_bytes(config: &Config) -> usize {
    let rows = most_pass_tokens(config).saturating_mul(config.hidden);
    let logits = MAX_LOGIT_ROWS.saturating_mul(config.cut.head.len());
    bytes_of::<f32>(rows.saturating_mul(4).saturating_add(logits.saturating_mul(2)))
}
