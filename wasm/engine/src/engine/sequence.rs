//! One sequence: what it was opened with, the tokens it was given and chose, and the state of those it has read.

use crate::error::{Error, Result};
use crate::sample::{Sampled, Sampling, TokenLogprob};
use crate::spike::SpikeMeter;
use crate::state::State;

/// What a sequence is opened with.
#[derive(Debug, Clone, Default)]
pub struct SequenceOptions {
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Alternatives reported beside each prompt token; `None` reports none.
    pub prompt_logprobs: Option<usize>,
    /// Whether spikes are counted.
    pub count_spikes: bool,
}

#[derive(Debug)]
pub struct Sequence {
    pub options: SequenceOptions,
    pub state: Option<State>,
    /// Everything fed and sampled.
    pub tokens: Vec<u32>,
    pub read: usize,
    /// Tokens before the first sampled one; all of them while none is.
    pub prompt: Option<usize>,
    /// What follows once everything is read. An error is this sequence's alone: others of the same step go on.
    pub next: Option<Result<Sampled>>,
    /// Prompt tokens whose scores have been reported, the first token's absence of one included.
    pub scored: usize,
    pub prompt_scores: Vec<Option<TokenLogprob>>,
    /// Where spikes are counted, if they are.
    pub meter: Option<SpikeMeter>,
    /// Tokens whose spikes have been counted, or were not this sequence's: reading them again counts nothing.
    pub counted: usize,
}

impl Sequence {
    pub fn new(options: SequenceOptions, meter: Option<SpikeMeter>) -> Self {
        Self {
            options,
            state: None,
            tokens: Vec::new(),
            read: 0,
            prompt: None,
            next: None,
            scored: 0,
            prompt_scores: Vec::new(),
            meter,
            counted: 0,
        }
    }

    pub fn prompt_length(&self) -> usize {
        self.prompt.unwrap_or(self.tokens.len())
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

    pub fn evict(&mut self) {
        (self.state, self.read) = (None, 0);
    }

    /// A copy, which counts from nothing what it will read itself.
    pub fn fork(&self) -> Result<Self> {
        Ok(Self {
            meter: self.meter.as_ref().map(|meter| SpikeMeter::new(meter.layers().len())).transpose()?,
            options: self.options.clone(),
            state: self.state.as_ref().map(State::fork).transpose()?,
            tokens: self.tokens.clone(),
            next: self.next.clone(),
            prompt_scores: self.prompt_scores.clone(),
            ..*self
        })
    }
}
