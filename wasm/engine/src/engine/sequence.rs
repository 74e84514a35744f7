//! One sequence: what it was opened with, the tokens it was given and chose, and the state of those it has read.

use crate::error::{Error, Result};
use crate::sample::{Sampled, Sampling, TokenLogprob};
use crate::spike::SpikeMeter;
use crate::state::{State, StateReader, StateWriter};
use crate::token_set::TokenSet;

/// What a sequence is opened with.
#[derive(Debug, Clone, Default)]
pub struct SequenceOptions {
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Alternatives reported beside each prompt token; `None` reports none.
    pub prompt_logprobs: Option<usize>,
    /// Whether spikes are counted.
    pub count_spikes: bool,
    /// How many of the prompt's last tokens an earlier attempt at the same answer has sampled: penalties, `min_tokens` and the draws count
    /// them as output, and they are read as tokens that were sampled are. The whole prompt must be fed before its last step.
    pub continued: usize,
}

/// What else a sequence is at than reading.
#[derive(Debug)]
pub enum Transfer {
    /// Its state goes out; nothing may change it.
    Saving(StateWriter),
    /// Its state comes in.
    Restoring(StateReader),
    /// It reads, and the rest of that is done in other parts of the model.
    Passing,
}

#[derive(Debug)]
pub struct Sequence {
    pub options: SequenceOptions,
    pub state: Option<State>,
    pub transfer: Option<Transfer>,
    /// Tokens of text that a restored state had read; the sequence does not have them.
    pub base: usize,
    /// Which ones they were, as far as the caller has said.
    pub seen: Option<TokenSet>,
    /// Everything fed and sampled since.
    pub tokens: Vec<u32>,
    /// Of which the next token is chosen; all of them where it is `None`.
    pub mask: Option<TokenSet>,
    /// How many of `tokens` the state has read.
    pub read: usize,
    /// Tokens before the first sampled one; all of them while none is.
    prompt: Option<usize>,
    /// What follows once everything is read. An error is this sequence's alone: others of the same step go on.
    pub next: Option<Result<Sampled>>,
    /// Prompt tokens whose scores have been reported, the first token's absence of one included.
    pub scored: usize,
    pub prompt_scores: Vec<Option<TokenLogprob>>,
    /// Where spikes are counted, if they are.
    pub meter: Option<SpikeMeter>,
    /// Tokens whose spikes have been counted, or were not this sequence's: reading them again counts nothing.
    pub counted: usize,
    /// Bytes that its state takes in all parts of the model together, where others have some of it.
    pub shared_bytes: Option<u64>,
}

impl Sequence {
    pub fn new(options: SequenceOptions, meter: Option<SpikeMeter>) -> Self {
        Self {
            options,
            state: None,
            transfer: None,
            base: 0,
            seen: None,
            tokens: Vec::new(),
            mask: None,
            read: 0,
            prompt: None,
            next: None,
            scored: 0,
            prompt_scores: Vec::new(),
            meter,
            counted: 0,
            shared_bytes: None,
        }
    }

    /// Tokens before the output, an earlier attempt's included in it.
    pub fn prompt_length(&self) -> usize {
        self.prompt.unwrap_or(self.tokens.len()).saturating_sub(self.options.continued)
    }

    /// From here on, tokens are sampled.
    pub fn end_prompt(&mut self) {
        self.prompt.get_or_insert(self.tokens.len());
    }

    /// The tokens that count as output must be there.
    pub fn check_continued(&self) -> Result<()> {
        let (continued, prompt) = (self.options.continued, self.prompt.unwrap_or(self.tokens.len()));
        if continued <= prompt {
            return Ok(());
        }
        Err(Error::InvalidArgument(format!("continued must be at most the {prompt} tokens that have been fed; it is {continued}")))
    }

    /// Refuses what a state that is saved or restored must not see.
    pub fn check_idle(&self, id: u32) -> Result<()> {
        match self.transfer {
            None => Ok(()),
            Some(Transfer::Saving(_)) => Err(Error::InvalidArgument(format!("sequence {id} is being saved"))),
            Some(Transfer::Restoring(_)) => Err(Error::InvalidArgument(format!("sequence {id} is being restored"))),
            Some(Transfer::Passing) => Err(Error::InvalidArgument(format!("sequence {id} is being read"))),
        }
    }

    /// Refuses a sequence whose restored state is gone.
    pub fn check_state(&self, id: u32) -> Result<()> {
        if self.base == 0 || self.state.is_some() {
            return Ok(());
        }
        Err(self.lost(id))
    }

    pub fn lost(&self, id: u32) -> Error {
        Error::StateLost(format!("sequence {id} cannot read the first {} tokens again; it began with their state", self.base))
    }

    pub fn pending(&self) -> usize {
        self.tokens.len() - self.read
    }

    pub fn append(&mut self, tokens: &[u32]) -> Result<()> {
        let needed = crate::memory::bytes_of::<u32>(tokens.len());
        self.tokens.try_reserve(tokens.len()).map_err(|_| Error::OutOfMemory { what: "tokens", needed, free: 0 })?;
        self.tokens.extend_from_slice(tokens);
        Ok(())
    }

    /// Bytes that its state takes.
    pub fn bytes(&self) -> usize {
        let shared = self.shared_bytes.and_then(|bytes| usize::try_from(bytes).ok());
        self.state.as_ref().map_or(0, |state| shared.unwrap_or_else(|| state.bytes()))
    }

    pub fn evict(&mut self) {
        (self.state, self.read, self.shared_bytes) = (None, 0, None);
    }

    /// A copy, which counts from nothing what it will read itself.
    pub fn fork(&self) -> Result<Self> {
        Ok(Self {
            meter: self.meter.as_ref().map(|meter| SpikeMeter::new(meter.layers().len())).transpose()?,
            options: self.options.clone(),
            transfer: None,
            seen: self.seen.as_ref().map(TokenSet::copy).transpose()?,
            state: self.state.as_ref().map(State::fork).transpose()?,
            tokens: self.tokens.clone(),
            mask: self.mask.as_ref().map(TokenSet::copy).transpose()?,
            next: self.next.clone(),
            prompt_scores: self.prompt_scores.clone(),
            ..*self
        })
    }
}
