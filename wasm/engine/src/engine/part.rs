//! A part of a model that another engine leads: it keeps its part of the states of that engine's sequences, and reads with them what comes
//! from the part before it.

use super::message::{PassMessage, PassSegment, Rows};
use super::sequence::{Sequence, SequenceOptions};
use super::{Engine, SequenceId};
use crate::error::{Error, Result};
use crate::memory::{Allowance, zeroed};
use crate::model::{Counting, Segment};
use crate::spike::{Site, SpikeCounts, SpikeMeter};
use crate::state::State;

/// Logits of more tokens than these are asked for a few at a time, so that none of the messages is large.
pub const MAX_LOGIT_ROWS: usize = 16;

impl Engine {
    /// Where the part before this one leaves the learned sinks: makes the state of an empty sequence of it. What this part makes of them, for the
    /// next one; nothing without learned sinks.
    pub fn lay_sinks(&mut self, rows: &[f32]) -> Result<Vec<f32>> {
        if self.model.config().learned_sinks == 0 {
            return Ok(Vec::new());
        }
        let rows = if rows.is_empty() { None } else { Some(rows) };
        self.empty = Some(self.model.new_state_after(self.kv_type, rows, &mut self.scratch)?);
        Ok(if self.model.config().cut.sublayers.is_empty() { Vec::new() } else { self.model.rows(&self.scratch).to_vec() })
    }

    /// This part of a pass. A sequence at its beginning starts anew; any other has been here before, and stands where the pass goes on: else
    /// `StateLost`, before any change. Sequences of a pass that fails on the way are gone.
    pub fn pass_on(&mut self, message: &[u8]) -> Result<Vec<u8>> {
        let (hidden, vocabulary) = (self.model.config().hidden, self.model.config().vocabulary);
        let mut message = PassMessage::parse(message, hidden, vocabulary)?;
        if !matches!(message.rows, Rows::Tokens | Rows::All) {
            return Err(Error::InvalidArgument("a pass has been through the last layer already".to_owned()));
        }
        self.admit_pass(&message)?;
        let mut taken = Vec::new();
        for segment in &message.segments {
            taken.push(self.take_guest(message.owner, segment)?);
        }
        let result = self.read_part(&mut message, &mut taken);
        for ((id, sequence), segment) in taken.into_iter().zip(&message.segments) {
            match &result {
                Ok(_) => drop(self.sequences.insert(id, sequence)),
                Err(_) => drop(self.guests.remove(&(message.owner, segment.sequence))),
            }
        }
        result?;
        message.bytes()
    }

    /// Rows of the embedding of those of a pass's tokens that this part has, in order.
    pub fn embed_part(&self, message: &[u8]) -> Result<Vec<f32>> {
        let config = self.model.config();
        let message = PassMessage::parse(message, config.hidden, config.vocabulary)?;
        self.model.embedded(&message.tokens)
    }

    /// Logits over this part's rows of the head, of `count` of the wanted tokens from `first` on: `[count, rows]`.
    pub fn logits_part(&mut self, message: &[u8], first: usize, count: usize) -> Result<Vec<f32>> {
        let (hidden, vocabulary) = (self.model.config().hidden, self.model.config().vocabulary);
        let message = PassMessage::parse(message, hidden, vocabulary)?;
        let end = first.saturating_add(count);
        if message.rows != Rows::Wanted || count > MAX_LOGIT_ROWS || end > message.wanted() {
            return Err(Error::InvalidArgument(format!(
                "logits of tokens {first} to {end}; a pass has those of {} tokens, of which {MAX_LOGIT_ROWS} are asked for at a time",
                message.wanted()
            )));
        }
        self.logits_of(&message.values[first * hidden..end * hidden])
    }

    /// The sequence that stands for an owner's, for its state's way out or in; opened where there is none.
    pub fn guest(&mut self, owner: u64, sequence: u32) -> Result<SequenceId> {
        if let Some(id) = self.guests.get(&(owner, sequence)) {
            return Ok(*id);
        }
        let id = self.insert(Sequence::new(SequenceOptions::default(), None));
        self.guests.insert((owner, sequence), id);
        Ok(id)
    }

    /// A copy of an owner's sequence under another of its names.
    pub fn fork_guest(&mut self, owner: u64, from: u32, to: u32) -> Result<()> {
        let Some(id) = self.guests.get(&(owner, from)).copied() else {
            return Err(lost(from));
        };
        let copy = self.fork(id)?;
        self.forget_guest(owner, to);
        self.guests.insert((owner, to), copy);
        Ok(())
    }

    /// Frees an owner's sequence, if it is here.
    pub fn forget_guest(&mut self, owner: u64, sequence: u32) {
        if let Some(id) = self.guests.remove(&(owner, sequence)) {
            self.sequences.remove(&id);
        }
    }

    /// Frees all of an owner's sequences.
    pub fn forget_owner(&mut self, owner: u64) {
        let gone: Vec<u32> = self.guests.range((owner, 0)..=(owner, u32::MAX)).map(|((_, sequence), _)| *sequence).collect();
        gone.into_iter().for_each(|sequence| self.forget_guest(owner, sequence));
    }

    /// Logits over this part's rows of the head, `[tokens, rows of the head]`.
    pub(super) fn logits_of(&mut self, rows: &[f32]) -> Result<Vec<f32>> {
        let (hidden, width) = (self.model.config().hidden, self.model.config().cut.head.len());
        let mut out = zeroed(rows.len() / hidden * width, "logits between parts of a model")?;
        self.model.part_logits(rows, &mut self.scratch, |row, logits| out[row * width..(row + 1) * width].copy_from_slice(logits))?;
        Ok(out)
    }

    /// Checks where the sequences stand and that there is memory for what they read; takes attention's.
    fn admit_pass(&mut self, message: &PassMessage) -> Result<()> {
        let sinks = self.model.config().learned_sinks;
        if message.tokens.len() > self.pass_tokens {
            return Err(Error::InvalidArgument(format!(
                "a pass of {} tokens; at most {} are allowed",
                message.tokens.len(),
                self.pass_tokens
            )));
        }
        let (mut needed, mut longest) = (0usize, 0);
        for (index, segment) in message.segments.iter().enumerate() {
            if message.segments[..index].iter().any(|other| other.sequence == segment.sequence) {
                return Err(Error::InvalidArgument(format!("a pass names sequence {} twice", segment.sequence)));
            }
            let end = segment.position + segment.count;
            let state = match self.guests.get(&(message.owner, segment.sequence)) {
                Some(id) => {
                    let sequence = self.sequence(*id)?;
                    sequence.check_idle(segment.sequence)?;
                    sequence.state.as_ref()
                }
                None => None,
            };
            let position = state.map(State::position);
            if segment.position != sinks && position != Some(segment.position) {
                return Err(lost(segment.sequence));
            }
            let held = state.filter(|_| segment.position != sinks).map_or(0, State::bytes);
            needed = needed.saturating_add(self.state_bytes(end - sinks).saturating_sub(held));
            longest = longest.max(end);
        }
        let mut allowance = Allowance::new("state", self.free_state_bytes());
        allowance.take(needed)?;
        self.model.reserve(&mut self.scratch, self.pass_tokens, longest, &mut allowance)
    }

    /// A segment's sequence, out of the engine for the pass.
    fn take_guest(&mut self, owner: u64, segment: &PassSegment) -> Result<(SequenceId, Sequence)> {
        let fresh = segment.position == self.model.config().learned_sinks;
        let id = self.guest(owner, segment.sequence)?;
        let mut sequence = self.sequences.remove(&id).ok_or_else(|| lost(segment.sequence))?;
        if fresh {
            sequence.state = Some(self.empty()?.fork()?);
        }
        Ok((id, sequence))
    }

    /// Takes the rows of `message` through this part.
    fn read_part(&mut self, message: &mut PassMessage, taken: &mut [(SequenceId, Sequence)]) -> Result<()> {
        let layers = self.model.config().layers.len();
        let mut meters = Vec::new();
        for segment in &message.segments {
            meters.push(segment.counted_from.map(|_| SpikeMeter::new(layers)).transpose()?);
        }
        let mut segments = Vec::new();
        let mut at = 0;
        for ((part, (_, sequence)), meter) in message.segments.iter().zip(taken.iter_mut()).zip(&mut meters) {
            let state = sequence.state.as_mut().ok_or_else(|| lost(part.sequence))?;
            let counting = meter.as_mut().map(|meter| Counting { meter, from: part.counted_from.unwrap_or(0) });
            let tokens = &message.tokens[at..at + part.count];
            segments.push(Segment { state, tokens, recurrent_from: part.recurrent_from, logits: part.wanted, counting });
            at += part.count;
        }
        let rows = if message.rows == Rows::All { Some(message.values.as_slice()) } else { None };
        let wanted = self.model.read(&mut segments, rows, &mut self.scratch)?;
        for ((segment, (_, sequence)), meter) in message.segments.iter_mut().zip(taken.iter()).zip(&meters) {
            segment.state_bytes += sequence.state.as_ref().map_or(0, State::bytes) as u64;
            if let Some(meter) = meter {
                segment.fired.extend(fired(meter));
            }
        }
        self.leave(message, &wanted.iter().map(|(row, ..)| *row).collect::<Vec<_>>())
    }

    /// Puts what the pass has left behind in the buffers into the message: rows, and after the last layer only the wanted ones, or their logits.
    pub(super) fn leave(&mut self, message: &mut PassMessage, wanted: &[usize]) -> Result<()> {
        let config = self.model.config();
        let (hidden, head_is_here) = (config.hidden, config.cut.head == (0..config.vocabulary));
        let rows = self.model.rows(&self.scratch);
        if config.cut.sublayers.end < 2 * config.layers.len() {
            message.rows = Rows::All;
            message.values.clear();
            message.values.extend_from_slice(rows);
            return Ok(());
        }
        let mut left = zeroed(wanted.len() * hidden, "rows between parts of a model")?;
        for (target, row) in left.chunks_exact_mut(hidden).zip(wanted) {
            target.copy_from_slice(&rows[row * hidden..(row + 1) * hidden]);
        }
        (message.rows, message.values) = match head_is_here && wanted.len() <= MAX_LOGIT_ROWS {
            true => (Rows::Logits, self.logits_of(&left)?),
            false => (Rows::Wanted, left),
        };
        Ok(())
    }
}

/// What a meter has counted, as a message holds it.
pub(super) fn fired(meter: &SpikeMeter) -> impl Iterator<Item = (usize, usize, SpikeCounts)> {
    let of_layer = |(layer, sites): (usize, &[SpikeCounts; Site::ALL.len()])| {
        sites.iter().enumerate().filter(|(_, counts)| counts.channels > 0).map(|(site, counts)| (layer, site, *counts)).collect::<Vec<_>>()
    };
    meter.layers().iter().enumerate().flat_map(of_layer)
}

fn lost(sequence: u32) -> Error {
    Error::StateLost(format!("a part of the model does not have the state of sequence {sequence} where the pass goes on"))
}
