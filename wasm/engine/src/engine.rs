//! One model and the sequences that share its weights.
//!
//! A caller schedules: it opens sequences, feeds them tokens, and each step names which sequences read how many of theirs. A sequence whose
//! tokens are all read has its next token chosen within that step, so logits are never kept.

mod lead;
mod limits;
mod message;
mod part;
mod pass;
mod sequence;
mod transfers;

pub use lead::PassId;
pub use part::MAX_LOGIT_ROWS;
pub use sequence::SequenceOptions;
pub use transfers::StateDescription;

use crate::error::{Error, Result};
use crate::kernel::{Active, Kernel};
use crate::memory::{Allowance, bytes_of};
use crate::model::{Model, Scratch};
use crate::sample::{Sampled, TokenLogprob};
use crate::spike::{SpikeMeter, SpikingMode};
use crate::state::{Digests, Identity, KvType, State};
use crate::token_set::{TokenSet, beyond};
use lead::Begun;
pub(crate) use limits::kept_back;
use limits::{buffers, free_bytes};
use sequence::{Sequence, Transfer};
use std::collections::BTreeMap;

/// Names a sequence within its engine.
pub type SequenceId = u32;

/// Tells how many bytes are allocated now, so that state stays under the limit.
pub type UsedBytes = fn() -> usize;

/// See the module.
#[derive(Debug)]
pub struct Engine {
    model: Model,
    kv_type: KvType,
    digests: Digests,
    limit: Option<(usize, UsedBytes)>,
    /// Most tokens of one pass.
    pass_tokens: usize,
    scratch: Scratch,
    /// A state that has read the learned sinks alone; `None` until the part of the model before this one has told of them.
    empty: Option<State>,
    sequences: BTreeMap<SequenceId, Sequence>,
    last_id: SequenceId,
    /// Sequences that stand here for those of engines that lead, by owner and by its name of them.
    guests: BTreeMap<(u64, u32), SequenceId>,
    /// Passes that are on their way through other parts.
    passes: BTreeMap<PassId, Begun>,
    last_pass: PassId,
}

impl Engine {
    /// `limit` is on all memory, the weights included. A spiking mode keeps keys and values as int8 whatever `kv_type` says.
    pub fn new(model: Model, kv_type: KvType, limit: Option<(usize, UsedBytes)>) -> Result<Self> {
        let config = model.config();
        let kv_type = if config.spiking.mode.keeps_int8() { KvType::Int8 } else { kv_type };
        let sinks = config.learned_sinks;
        let part = model.part();
        let free = free_bytes(limit, config);
        // Learned sinks see one another, so all of them are one pass, whose buffers go when it is over.
        let mut once = Scratch::default();
        let mut allowance = Allowance::new("the state of an empty sequence", free);
        allowance.take(State::bytes_at(part, kv_type, sinks, sinks))?;
        if sinks > 0 {
            model.reserve(&mut once, sinks, sinks, &mut allowance)?;
        }
        let waits = sinks > 0 && config.cut.sublayers.start > 0 && !config.cut.sublayers.is_empty();
        let empty = if waits { None } else { Some(model.ranks().leave(model.new_state(kv_type, &mut once))?) };
        drop(once);
        let found = buffers(&model, kv_type, free_bytes(limit, config));
        let (own_pass_tokens, scratch) = model.ranks().agree(found)?;
        let pass_tokens = model.ranks().least(own_pass_tokens)?;
        Ok(Self {
            model,
            kv_type,
            digests: Digests::default(),
            limit,
            pass_tokens,
            scratch,
            empty,
            sequences: BTreeMap::new(),
            last_id: 0,
            guests: BTreeMap::new(),
            passes: BTreeMap::new(),
            last_pass: 0,
        })
    }

    /// With what is known of the files it was made from, which states carry.
    #[must_use]
    pub fn with_digests(self, digests: Digests) -> Self {
        Self { digests, ..self }
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// `scalar`, `simd128` or `relaxed`.
    pub fn kernel(&self) -> &'static str {
        Active::NAME
    }

    /// Most tokens of a pass.
    pub fn pass_tokens(&self) -> usize {
        self.pass_tokens
    }

    /// How keys and values are kept.
    pub fn kv_type(&self) -> KvType {
        self.kv_type
    }

    /// Bytes that state may still take: what states that are coming in will take is not free.
    pub fn free_state_bytes(&self) -> usize {
        let reserved = |sequence: &Sequence| match &sequence.transfer {
            Some(Transfer::Restoring(reader)) => reader.reserved(),
            None | Some(Transfer::Saving(_) | Transfer::Passing) => 0,
        };
        let reserved = self.sequences.values().map(reserved).fold(0, usize::saturating_add);
        free_bytes(self.limit, self.model.config()).saturating_sub(reserved)
    }

    /// Bytes a sequence's state takes once it holds `tokens` tokens of text: this rank's part of it.
    pub fn state_bytes(&self, tokens: usize) -> usize {
        let config = self.model.part();
        State::bytes_at(config, self.kv_type, tokens.saturating_add(config.learned_sinks), self.pass_tokens)
    }

    /// Bytes a sequence's state takes now.
    pub fn sequence_bytes(&self, id: SequenceId) -> Result<usize> {
        let sequence = self.sequence(id)?;
        Ok(match &sequence.transfer {
            Some(Transfer::Restoring(reader)) => reader.bytes(),
            None | Some(Transfer::Saving(_) | Transfer::Passing) => sequence.bytes(),
        })
    }

    /// A new, empty sequence.
    pub fn open(&mut self, options: SequenceOptions) -> Result<SequenceId> {
        let config = self.model.config();
        options.sampling.check(config.vocabulary)?;
        if options.count_spikes && config.spiking.mode == SpikingMode::Off {
            return Err(Error::InvalidArgument(
                "spikes can be counted where the spiking mode is 'paper' or 'released'; it is 'off'".to_owned(),
            ));
        }
        let meter = if options.count_spikes { SpikeMeter::new(config.layers.len()).map(Some) } else { Ok(None) };
        let meter = self.model.ranks().agree(meter)?;
        Ok(self.insert(Sequence::new(options, meter)))
    }

    /// Appends tokens to what the sequence has still to read. Appending none changes nothing.
    pub fn feed(&mut self, id: SequenceId, tokens: &[u32]) -> Result<()> {
        self.check_tokens(tokens)?;
        let mut allowance = Allowance::new("tokens", self.free_state_bytes());
        let sequence = self.sequences.get_mut(&id).ok_or_else(|| unknown(id))?;
        if let Some(Transfer::Restoring(_)) = sequence.transfer {
            sequence.check_idle(id)?;
        }
        let before = sequence.tokens.len();
        let appended = allowance.take(bytes_of::<u32>(tokens.len())).and_then(|()| sequence.append(tokens));
        self.model.ranks().agree(appended).inspect_err(|_| sequence.tokens.truncate(before))?;
        if !tokens.is_empty() {
            sequence.next = None;
        }
        Ok(())
    }

    /// Tokens fed and not yet read.
    pub fn pending(&self, id: SequenceId) -> Result<usize> {
        Ok(self.sequence(id)?.pending())
    }

    /// Every named sequence reads so many of its pending tokens. Refused before any change when its state would not fit; should the
    /// allocator fail all the same, the sequences of the step are evicted, which loses no token, but of restored ones the state.
    pub fn step(&mut self, plan: &[(SequenceId, usize)]) -> Result<()> {
        self.read(plan, None)
    }

    /// Refuses a count of tokens that a step could not read.
    pub fn check_pending(&self, id: SequenceId, count: usize) -> Result<()> {
        let pending = self.pending(id)?;
        if count == 0 || count > pending {
            return Err(Error::InvalidArgument(format!(
                "a step names sequence {id} once, with 1 to {pending} of its pending tokens; it has {count}"
            )));
        }
        Ok(())
    }

    /// As a [`Self::step`] of one sequence, which hands out the logits after each of the tokens, `[vocabulary]`, in order.
    pub fn read_logits(&mut self, id: SequenceId, count: usize, mut receive: impl FnMut(&[f32])) -> Result<()> {
        self.read(&[(id, count)], Some(&mut receive))
    }

    /// The next token of a sequence that has read all of its tokens; it is fed unless it is a stop token.
    pub fn sample(&mut self, id: SequenceId) -> Result<Sampled> {
        let sequence = self.sequence_mut(id)?;
        match sequence.next.take() {
            Some(Ok(sampled)) => {
                sequence.end_prompt();
                if !sampled.stop {
                    sequence.append(&[sampled.id])?;
                }
                Ok(sampled)
            }
            Some(Err(error)) => {
                sequence.next = Some(Err(error.clone()));
                Err(error)
            }
            None => Err(Error::InvalidArgument(format!("sequence {id} has tokens to read before its next can be sampled"))),
        }
    }

    /// What the first of several ranks has sampled, on the others, which choose nothing: the token is fed, none where it was a stop token.
    pub fn accept(&mut self, id: SequenceId, token: Option<u32>) -> Result<()> {
        self.check_tokens(token.as_slice())?;
        let sequence = self.sequence_mut(id)?;
        sequence.end_prompt();
        sequence.append(token.as_slice())
    }

    /// From the next choice on, the sequence's tokens are those of the mask; all of them where it is `None`.
    pub fn set_mask(&mut self, id: SequenceId, mask: Option<&[u8]>) -> Result<()> {
        let vocabulary = self.model.config().vocabulary;
        let mask = mask.map(|bits| TokenSet::from_bits(vocabulary, bits)).transpose()?;
        self.sequence_mut(id)?.mask = mask;
        Ok(())
    }

    /// Appends tokens as if they had been chosen: they are output from here on.
    pub fn force(&mut self, id: SequenceId, tokens: &[u32]) -> Result<()> {
        let sequence = self.sequence_mut(id)?;
        sequence.check_idle(id)?;
        if !tokens.is_empty() {
            sequence.end_prompt();
        }
        self.feed(id, tokens)
    }

    /// Scores of the prompt tokens read since the last call; the first prompt token has none.
    pub fn take_prompt_logprobs(&mut self, id: SequenceId) -> Result<Vec<Option<TokenLogprob>>> {
        Ok(core::mem::take(&mut self.sequence_mut(id)?.prompt_scores))
    }

    /// What the sequence's tokens have fired since it was opened or forked; `None` where that is not counted. Tokens that are read again
    /// after an eviction count once.
    pub fn spikes(&self, id: SequenceId) -> Result<Option<&SpikeMeter>> {
        Ok(self.sequence(id)?.meter.as_ref())
    }

    /// Positions of the tokens that a KV head of an `evicted` layer keeps exactly, slot by slot.
    pub fn salient_positions(&self, id: SequenceId, layer: usize, head: usize) -> Result<Vec<u32>> {
        self.state_or_empty(id)?.salient_positions(layer, head).ok_or_else(|| {
            let (layers, heads) = (self.model.config().layers.len(), self.model.config().kv_heads);
            Error::InvalidArgument(format!(
                "a layer and a KV head must be an 'evicted' layer of {layers} and a head of {heads}; they are {layer} and {head}"
            ))
        })
    }

    /// Drops the state; everything read becomes pending again. Refused where a restored state's tokens would have to be read again.
    pub fn evict(&mut self, id: SequenceId) -> Result<()> {
        let sequence = self.sequence_mut(id)?;
        sequence.check_idle(id)?;
        if sequence.base > 0 {
            return Err(sequence.lost(id));
        }
        sequence.evict();
        Ok(())
    }

    /// A copy that shares full pages with the original, also of one that is being saved. Refused before any change when the rest would not fit.
    pub fn fork(&mut self, id: SequenceId) -> Result<SequenceId> {
        let original = self.sequence(id)?;
        if let Some(Transfer::Restoring(_)) = original.transfer {
            original.check_idle(id)?;
        }
        let state_bytes = original.state.as_ref().map_or(0, State::fork_bytes);
        let mut allowance = Allowance::new("a fork", self.free_state_bytes());
        let bytes = state_bytes + bytes_of::<u32>(original.tokens.len()) + original.seen.as_ref().map_or(0, TokenSet::bytes);
        let copy = self.model.ranks().agree(allowance.take(bytes).and_then(|()| original.fork()))?;
        Ok(self.insert(copy))
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

    fn state_or_empty(&self, id: SequenceId) -> Result<&State> {
        self.sequence(id)?.state.as_ref().map_or_else(|| self.empty(), Ok)
    }

    fn empty(&self) -> Result<&State> {
        empty_state(self.empty.as_ref())
    }

    fn identity(&self) -> Identity<'_> {
        Identity { config: self.model.config(), part: self.model.part(), kind: self.kv_type, digests: self.digests }
    }

    fn check_tokens(&self, tokens: &[u32]) -> Result<()> {
        let vocabulary = self.model.config().vocabulary;
        match tokens.iter().find(|token| **token as usize >= vocabulary) {
            Some(token) => Err(beyond(*token, vocabulary)),
            None => Ok(()),
        }
    }
}

fn empty_state(empty: Option<&State>) -> Result<&State> {
    empty.ok_or_else(|| Error::StateLost("this part of the model has not been told of the learned sinks".to_owned()))
}

fn unknown(id: SequenceId) -> Error {
    Error::InvalidArgument(format!("there is no sequence {id}"))
}
