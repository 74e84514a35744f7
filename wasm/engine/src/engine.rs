//! One model and the sequences that share its weights.
//!
//! A caller schedules: it opens sequences, feeds them tokens, and each step names which sequences read how many of theirs. A sequence whose
//! tokens are all read has its next token chosen within that step, so logits are never kept.

use crate::error::{Error, Result};
use crate::kernel::{Active, Kernel};
use crate::layer::gated_linear::CHUNK_TOKENS;
use crate::model::{MAX_PASS_TOKENS, Model, Piece, Scratch, Wanted};
use crate::sample::{Sampled, Sampling, TokenLogprob, sample, token_logprob};
use crate::state::{KvType, State};
use std::collections::{BTreeMap, BTreeSet};

/// Names a sequence within its engine.
pub type SequenceId = u32;

/// Bytes left to the allocator's own needs and to what is allocated for a moment.
const SLACK_BYTES: usize = 1 << 20;

/// What a sequence is opened with.
#[derive(Debug, Clone, Default)]
pub struct SequenceOptions {
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Alternatives reported beside each prompt token; `None` reports none.
    pub prompt_logprobs: Option<usize>,
}

#[derive(Debug, Clone)]
struct Sequence {
    options: SequenceOptions,
    state: Option<State>,
    /// Everything fed and sampled.
    tokens: Vec<u32>,
    read: usize,
    /// Tokens before the first sampled one; all of them while none is.
    prompt: Option<usize>,
    next: Option<Sampled>,
    scored: usize,
    prompt_scores: Vec<Option<TokenLogprob>>,
}

impl Sequence {
    fn prompt_length(&self) -> usize {
        self.prompt.unwrap_or(self.tokens.len())
    }
}

/// Tells how many bytes are allocated now, so that state stays under the limit.
pub type UsedBytes = fn() -> usize;

/// See the module.
#[derive(Debug)]
pub struct Engine {
    model: Model,
    kv_type: KvType,
    limit: Option<(usize, UsedBytes)>,
    scratch: Scratch,
    empty: State,
    sequences: BTreeMap<SequenceId, Sequence>,
    last_id: SequenceId,
}

impl Engine {
    /// `limit` is on all memory, the weights included.
    pub fn new(model: Model, kv_type: KvType, limit: Option<(usize, UsedBytes)>) -> Result<Self> {
        let mut scratch = Scratch::default();
        let empty = model.new_state(kv_type, &mut scratch)?;
        scratch.reserve(model.config());
        Ok(Self { model, kv_type, limit, scratch, empty, sequences: BTreeMap::new(), last_id: 0 })
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// `scalar`, `simd128` or `relaxed`.
    pub fn kernel(&self) -> &'static str {
        Active::NAME
    }

    /// Bytes that state may still take.
    pub fn free_state_bytes(&self) -> usize {
        self.limit.map_or(usize::MAX, |(limit, used)| limit.saturating_sub(used() + SLACK_BYTES))
    }

    /// Bytes a sequence's state takes once it holds `tokens` tokens of text.
    pub fn state_bytes(&self, tokens: usize) -> usize {
        let config = self.model.config();
        State::bytes_at(config, self.kv_type, tokens.saturating_add(config.learned_sinks), MAX_PASS_TOKENS)
    }

    /// Bytes a sequence's state takes now.
    pub fn sequence_bytes(&self, id: SequenceId) -> Result<usize> {
        Ok(self.sequence(id)?.state.as_ref().map_or(0, State::bytes))
    }

    /// A new, empty sequence.
    pub fn open(&mut self, options: SequenceOptions) -> Result<SequenceId> {
        options.sampling.check(self.model.config().vocabulary)?;
        Ok(self.insert(Sequence {
            options,
            state: None,
            tokens: Vec::new(),
            read: 0,
            prompt: None,
            next: None,
            scored: 0,
            prompt_scores: Vec::new(),
        }))
    }

    /// Appends tokens to what the sequence has still to read.
    pub fn feed(&mut self, id: SequenceId, tokens: &[u32]) -> Result<()> {
        let vocabulary = self.model.config().vocabulary;
        if let Some(token) = tokens.iter().find(|token| **token as usize >= vocabulary) {
            return Err(Error::InvalidArgument(format!("token {token} is not below the vocabulary size {vocabulary}")));
        }
        let sequence = self.sequence_mut(id)?;
        sequence.next = None;
        sequence.tokens.extend_from_slice(tokens);
        Ok(())
    }

    /// Tokens fed and not yet read.
    pub fn pending(&self, id: SequenceId) -> Result<usize> {
        let sequence = self.sequence(id)?;
        Ok(sequence.tokens.len() - sequence.read)
    }

    /// Every named sequence reads so many of its pending tokens. Refused before any change when its state would not fit; should the
    /// allocator fail all the same, the sequences of the step are evicted, which loses no token.
    pub fn step(&mut self, plan: &[(SequenceId, usize)]) -> Result<()> {
        self.check_plan(plan)?;
        let mut taken: Vec<(SequenceId, Sequence, usize)> = Vec::new();
        for (id, count) in plan {
            if let Some(mut sequence) = self.sequences.remove(id) {
                if sequence.state.is_none() {
                    sequence.state = Some(self.empty.clone());
                    sequence.read = 0;
                }
                taken.push((*id, sequence, *count));
            }
        }
        let mut result = Ok(());
        while result.is_ok() && taken.iter().any(|(_, _, left)| *left > 0) {
            result = self.pass(&mut taken);
        }
        for (id, mut sequence, _) in taken {
            if result.is_err() {
                (sequence.state, sequence.read) = (None, 0);
            }
            self.sequences.insert(id, sequence);
        }
        result
    }

    /// The next token of a sequence that has read all of its tokens; it is fed unless it is a stop token.
    pub fn sample(&mut self, id: SequenceId) -> Result<Sampled> {
        let sequence = self.sequence_mut(id)?;
        let sampled = sequence
            .next
            .take()
            .ok_or_else(|| Error::InvalidArgument(format!("sequence {id} has tokens to read before its next can be sampled")))?;
        sequence.prompt.get_or_insert(sequence.tokens.len());
        if !sampled.stop {
            sequence.tokens.push(sampled.id);
        }
        Ok(sampled)
    }

    /// Scores of the prompt tokens read since the last call; the first prompt token has none.
    pub fn take_prompt_logprobs(&mut self, id: SequenceId) -> Result<Vec<Option<TokenLogprob>>> {
        Ok(core::mem::take(&mut self.sequence_mut(id)?.prompt_scores))
    }

    /// Drops the state; everything read becomes pending again.
    pub fn evict(&mut self, id: SequenceId) -> Result<()> {
        let sequence = self.sequence_mut(id)?;
        (sequence.state, sequence.read) = (None, 0);
        Ok(())
    }

    /// A copy that shares full pages with the original.
    pub fn fork(&mut self, id: SequenceId) -> Result<SequenceId> {
        let copy = self.sequence(id)?.clone();
        Ok(self.insert(copy))
    }

    /// The state of a sequence as bytes.
    pub fn save(&self, id: SequenceId) -> Result<Vec<u8>> {
        let state = self.sequence(id)?.state.as_ref().unwrap_or(&self.empty);
        Ok(state.save(self.model.config(), self.kv_type))
    }

    /// Gives a sequence that has read nothing the state in `bytes`, with the tokens that made it, which sampling's penalties look at.
    pub fn restore(&mut self, id: SequenceId, bytes: &[u8], tokens: &[u32]) -> Result<()> {
        let config = self.model.config();
        let state = State::load(config, self.kv_type, bytes)?;
        let text = state.position() - config.learned_sinks;
        if text != tokens.len() {
            return Err(Error::InvalidState(format!("it holds {text} tokens; {} were given", tokens.len())));
        }
        if !self.sequence(id)?.tokens.is_empty() {
            return Err(Error::InvalidArgument(format!("sequence {id} is not empty")));
        }
        self.feed(id, tokens)?;
        let sequence = self.sequence_mut(id)?;
        (sequence.read, sequence.state) = (tokens.len(), Some(state));
        Ok(())
    }

    /// Frees a sequence.
    pub fn close(&mut self, id: SequenceId) -> Result<()> {
        self.sequences.remove(&id).map(|_| ()).ok_or_else(|| unknown(id))
    }

    fn insert(&mut self, sequence: Sequence) -> SequenceId {
        loop {
            self.last_id = self.last_id.wrapping_add(1).max(1);
            if !self.sequences.contains_key(&self.last_id) {
                self.sequences.insert(self.last_id, sequence);
                return self.last_id;
            }
        }
    }

    fn sequence(&self, id: SequenceId) -> Result<&Sequence> {
        self.sequences.get(&id).ok_or_else(|| unknown(id))
    }

    fn sequence_mut(&mut self, id: SequenceId) -> Result<&mut Sequence> {
        self.sequences.get_mut(&id).ok_or_else(|| unknown(id))
    }

    fn check_plan(&self, plan: &[(SequenceId, usize)]) -> Result<()> {
        let mut seen = BTreeSet::new();
        let mut needed = 0usize;
        for (id, count) in plan {
            let sequence = self.sequence(*id)?;
            let pending = sequence.tokens.len() - sequence.read;
            if !seen.insert(*id) || *count == 0 || *count > pending {
                return Err(Error::InvalidArgument(format!(
                    "a step names sequence {id} once, with 1 to {pending} of its pending tokens; it has {count}"
                )));
            }
            let held = sequence.state.as_ref().map_or(0, State::bytes);
            needed = needed.saturating_add(self.state_bytes(sequence.read + count).saturating_sub(held));
        }
        let free = self.free_state_bytes();
        if needed > free {
            return Err(Error::OutOfMemory { what: "state", needed, free });
        }
        Ok(())
    }

    /// One forward pass over as many of the tokens as fit it.
    fn pass(&mut self, taken: &mut [(SequenceId, Sequence, usize)]) -> Result<()> {
        let counts = share_pass(taken);
        let mut failed = None;
        let mut parts = Vec::new();
        let mut pieces = Vec::new();
        for ((_, sequence, left), count) in taken.iter_mut().zip(&counts) {
            if *count == 0 {
                continue;
            }
            let prompt = sequence.prompt_length();
            let Sequence { options, state, tokens, read, next, scored, prompt_scores, .. } = sequence;
            let Some(state) = state else { continue };
            let end = *read + count;
            let scoring = options.prompt_logprobs.is_some() && end > *scored && *scored < prompt;
            let logits = match (scoring, end == tokens.len()) {
                (true, _) => Wanted::All,
                (false, true) => Wanted::Last,
                (false, false) => Wanted::None,
            };
            let tokens: &[u32] = tokens;
            pieces.push(Piece { state, tokens: &tokens[*read..end], recurrent_from: prompt, logits });
            parts.push((&*options, tokens, prompt, *read, next, scored, prompt_scores));
            (*read, *left) = (end, *left - count);
        }
        self.model.forward(&mut pieces, &mut self.scratch, |piece, token, logits| {
            let (options, tokens, prompt, first, next, scored, prompt_scores) = &mut parts[piece];
            let position = *first + token;
            if let Some(top) = options.prompt_logprobs {
                if position == 0 && **scored == 0 {
                    (prompt_scores.push(None), **scored = 1);
                }
                // The logits at a position score the token after it.
                if position + 1 == **scored && position + 1 < *prompt {
                    (prompt_scores.push(Some(token_logprob(logits, tokens[position + 1], top))), **scored += 1);
                }
            }
            if position + 1 == tokens.len() {
                match sample(&options.sampling, tokens, *prompt, logits) {
                    Ok(sampled) => **next = Some(sampled),
                    Err(error) => failed = Some(error),
                }
            }
        })?;
        failed.map_or(Ok(()), Err)
    }
}

fn unknown(id: SequenceId) -> Error {
    Error::InvalidArgument(format!("there is no sequence {id}"))
}

/// How many tokens each sequence reads in the next pass: whatever is left while the pass has room, cut at a whole chunk of linear attention
/// so that the cut does not show in the result.
fn share_pass(taken: &[(SequenceId, Sequence, usize)]) -> Vec<usize> {
    let mut room = MAX_PASS_TOKENS;
    taken
        .iter()
        .map(|(_, sequence, left)| {
            let mut count = (*left).min(room);
            if count < *left {
                let end = sequence.read + count;
                count = count.saturating_sub(end % CHUNK_TOKENS);
            }
            room -= count;
            count
        })
        .collect()
}
