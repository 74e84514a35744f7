//! An engine that leads: it has the sequences' tokens and chooses the next ones, and other parts of the model do the rest of each pass. A pass
//! begins here, goes through them, and ends here; several may be on their way, each with other sequences.

use super::message::{PassMessage, PassSegment, Rows};
use super::part::{MAX_LOGIT_ROWS, fired};
use super::pass::{begin, share_pass};
use super::sequence::{Sequence, Transfer};
use super::{Engine, SequenceId};
use crate::config::Cut;
use crate::error::{Error, Result};
use crate::memory::with_capacity;
use crate::model::{Counting, Segment, Wanted};
use crate::sample::{History, sample, token_logprob};
use crate::spike::SpikeMeter;
use crate::state::{PartBytes, State};

/// Names a pass within its engine.
pub type PassId = u32;

/// A pass that is on its way.
#[derive(Debug)]
pub struct Begun {
    parts: Vec<Part>,
    /// Segment and token of each wanted row.
    wanted: Vec<(usize, usize)>,
    /// How many of them have come.
    taken: usize,
}

#[derive(Debug)]
struct Part {
    sequence: SequenceId,
    /// Tokens that it had read before, and has read after it.
    first: usize,
    end: usize,
}

impl Engine {
    /// Most tokens of a pass, where other parts of the model have room for fewer.
    pub fn limit_pass(&mut self, tokens: usize) {
        self.pass_tokens = self.pass_tokens.min(tokens.max(1));
    }

    /// Bytes that the part of a sequence's state takes which this cut of the model holds.
    pub fn part_bytes(&self, cut: &Cut, tokens: usize) -> usize {
        let config = self.model.config();
        State::part_bytes_at(config, cut, self.kv_type, tokens.saturating_add(config.learned_sinks), self.pass_tokens)
    }

    /// What a part of the model has of a state file with this header; `None` while that is not whole.
    pub fn part_of_file(&self, cut: &Cut, header: &[u8], from_page: usize) -> Result<Option<PartBytes>> {
        PartBytes::new(&self.identity(), header, cut, from_page)
    }

    /// Begins a pass: as many of the planned tokens as one pass has, of each sequence. What crosses to the next part; the sequences do
    /// nothing else until [`Self::end_pass`] or [`Self::drop_pass`].
    pub fn begin_pass(&mut self, owner: u64, plan: &[(SequenceId, usize)]) -> Result<(PassId, Vec<u8>)> {
        self.admit(plan)?;
        let mut taken: Vec<(SequenceId, Sequence, usize)> = Vec::new();
        for (id, count) in plan {
            taken.extend(self.sequences.remove(id).map(|sequence| (*id, sequence, *count)));
        }
        let begun = begin(self.empty.as_ref(), &mut taken).and_then(|()| self.lead(owner, &mut taken));
        let passing = begun.as_ref().map_or(Vec::new(), |(begun, _)| begun.parts.iter().map(|part| part.sequence).collect());
        for (id, mut sequence, _) in taken {
            if begun.is_err() {
                sequence.evict();
            } else if passing.contains(&id) {
                sequence.transfer = Some(Transfer::Passing);
            }
            self.sequences.insert(id, sequence);
        }
        let (begun, message) = begun?;
        let bytes = message.bytes()?;
        self.last_pass = self.last_pass.wrapping_add(1);
        self.passes.insert(self.last_pass, begun);
        Ok((self.last_pass, bytes))
    }

    /// Puts rows that parts of the embedding have given into a message that began without: each is a range of the vocabulary and the rows of the
    /// pass's tokens within it, in order.
    pub fn join_rows(&self, message: &[u8], parts: &[(core::ops::Range<usize>, Vec<f32>)]) -> Result<Vec<u8>> {
        let (hidden, vocabulary) = (self.model.config().hidden, self.model.config().vocabulary);
        let mut message = PassMessage::parse(message, hidden, vocabulary)?;
        let mut rows: Vec<_> = parts.iter().map(|(range, values)| (range, values.chunks_exact(hidden))).collect();
        let mut values = with_capacity(message.tokens.len() * hidden, "rows between parts of a model")?;
        for token in &message.tokens {
            let row = rows.iter_mut().find(|(range, _)| range.contains(&(*token as usize))).and_then(|(_, rows)| rows.next());
            values.extend_from_slice(row.ok_or_else(|| Error::InvalidArgument(format!("no part has a row of token {token}")))?);
        }
        (message.rows, message.values) = (Rows::All, values);
        message.bytes()
    }

    /// Ends a pass with what the last part has left: logits, or the wanted rows where this engine has the whole head. True once all is taken;
    /// else their logits come by [`Self::take_logits`].
    pub fn end_pass(&mut self, pass: PassId, message: &[u8]) -> Result<bool> {
        let (hidden, vocabulary) = (self.model.config().hidden, self.model.config().vocabulary);
        let mut message = PassMessage::parse(message, hidden, vocabulary)?;
        let begun = self.passes.get(&pass).ok_or_else(|| unknown(pass))?;
        if begun.parts.len() != message.segments.len() || begun.wanted.len() != message.wanted() || begun.taken > 0 {
            return Err(Error::InvalidArgument(format!("pass {pass} comes back with other sequences than it began with")));
        }
        for (part, segment) in begun.parts.iter().zip(&message.segments) {
            if let Some(sequence) = self.sequences.get_mut(&part.sequence) {
                sequence.shared_bytes = Some(segment.state_bytes);
                sequence.counted = part.end.max(sequence.counted);
                if let Some(meter) = &mut sequence.meter {
                    segment.fired.iter().for_each(|(layer, site, counts)| meter.join(*layer, *site, counts));
                }
            }
        }
        let has_head = self.model.config().cut.head == (0..vocabulary);
        if matches!(message.rows, Rows::Tokens | Rows::All) {
            return Err(Error::InvalidArgument(format!("pass {pass} has not been through all layers")));
        }
        let mut done = self.finish_when_taken(pass)?;
        match message.rows {
            Rows::Logits => {
                for logits in message.values.chunks_exact_mut(vocabulary) {
                    done = self.take_logits(pass, logits)?;
                }
            }
            Rows::Wanted if has_head => {
                for rows in message.values.chunks(MAX_LOGIT_ROWS * hidden) {
                    for logits in self.logits_of(rows)?.chunks_exact_mut(vocabulary) {
                        done = self.take_logits(pass, logits)?;
                    }
                }
            }
            Rows::Wanted | Rows::Tokens | Rows::All => {}
        }
        Ok(done)
    }

    /// The logits of the next wanted row of a pass, over the whole vocabulary; true once all have been taken, which ends it.
    pub fn take_logits(&mut self, pass: PassId, logits: &mut [f32]) -> Result<bool> {
        let begun = self.passes.get_mut(&pass).ok_or_else(|| unknown(pass))?;
        let Some((index, token)) = begun.wanted.get(begun.taken).copied() else {
            return Err(Error::InvalidArgument(format!("pass {pass} wants no more logits")));
        };
        begun.taken += 1;
        let Part { sequence, first, .. } = begun.parts[index];
        if let Some(sequence) = self.sequences.get_mut(&sequence) {
            sequence.take(first + token, Some(logits));
        }
        self.finish_when_taken(pass)
    }

    /// How many tokens' logits a pass wants.
    pub fn wanted(&self, pass: PassId) -> Result<usize> {
        Ok(self.passes.get(&pass).ok_or_else(|| unknown(pass))?.wanted.len())
    }

    /// Gives a pass up that comes to nothing: its sequences read again, or where they began with a restored state have lost it.
    pub fn drop_pass(&mut self, pass: PassId) -> Result<()> {
        let begun = self.passes.remove(&pass).ok_or_else(|| unknown(pass))?;
        for part in begun.parts {
            if let Some(sequence) = self.sequences.get_mut(&part.sequence) {
                sequence.transfer = None;
                sequence.evict();
            }
        }
        Ok(())
    }

    fn finish_when_taken(&mut self, pass: PassId) -> Result<bool> {
        let begun = self.passes.get(&pass).ok_or_else(|| unknown(pass))?;
        if begun.taken < begun.wanted.len() {
            return Ok(false);
        }
        for part in self.passes.remove(&pass).into_iter().flat_map(|begun| begun.parts) {
            if let Some(sequence) = self.sequences.get_mut(&part.sequence) {
                sequence.transfer = None;
            }
        }
        Ok(true)
    }

    /// This engine's own part of a pass.
    fn lead(&mut self, owner: u64, taken: &mut [(SequenceId, Sequence, usize)]) -> Result<(Begun, PassMessage)> {
        let counts = share_pass(taken, self.pass_tokens);
        let layers = self.model.config().layers.len();
        let reads = self.model.config().cut.embedding == (0..self.model.config().vocabulary);
        let mut begun = Begun { parts: Vec::new(), wanted: Vec::new(), taken: 0 };
        let mut message = PassMessage { owner, segments: Vec::new(), tokens: Vec::new(), rows: Rows::Tokens, values: Vec::new() };
        let mut segments = Vec::new();
        let mut meters = Vec::new();
        for ((_, sequence, _), _) in taken.iter().zip(&counts).filter(|(_, count)| **count > 0) {
            meters.push(sequence.meter.as_ref().map(|_| SpikeMeter::new(layers)).transpose()?);
        }
        let counted = taken.iter_mut().zip(&counts).filter(|(_, count)| **count > 0).zip(&mut meters);
        for (index, (((id, sequence, _), count), meter)) in counted.enumerate() {
            let prompt = sequence.prompt_length();
            let (first, end) = (sequence.read, sequence.read + count);
            let wanted = sequence.wanted(prompt, end);
            let from = sequence.counted.saturating_sub(first);
            sequence.read = end;
            let Some(state) = &mut sequence.state else { continue };
            message.segments.push(PassSegment {
                sequence: *id,
                position: state.position(),
                count: *count,
                recurrent_from: sequence.base + prompt,
                wanted,
                counted_from: meter.as_ref().map(|_| from),
                state_bytes: 0,
                fired: Vec::new(),
            });
            let tokens = &sequence.tokens[first..end];
            message.tokens.extend_from_slice(tokens);
            begun.parts.push(Part { sequence: *id, first, end });
            match wanted {
                Wanted::None => {}
                Wanted::Last => begun.wanted.push((index, count - 1)),
                Wanted::All => begun.wanted.extend((0..*count).map(|token| (index, token))),
            }
            let counting = meter.as_mut().map(|meter| Counting { meter, from });
            segments.push(Segment { state, tokens, recurrent_from: sequence.base + prompt, logits: wanted, counting });
        }
        if reads {
            self.model.read(&mut segments, None, &mut self.scratch)?;
        } else {
            segments.iter_mut().for_each(|segment| segment.state.advance(segment.tokens.len()));
        }
        drop(segments);
        let states = taken.iter().zip(&counts).filter(|(_, count)| **count > 0);
        for ((segment, ((_, sequence, _), _)), meter) in message.segments.iter_mut().zip(states).zip(&meters) {
            segment.state_bytes = sequence.state.as_ref().map_or(0, State::bytes) as u64;
            if let Some(meter) = meter {
                segment.fired.extend(fired(meter));
            }
        }
        if reads {
            (message.rows, message.values) = (Rows::All, self.model.rows(&self.scratch).to_vec());
        }
        Ok((begun, message))
    }
}

impl Sequence {
    /// Which of the tokens up to `end` need logits.
    pub(super) fn wanted(&self, prompt: usize, end: usize) -> Wanted {
        // The logits of token `scored - 1` score token `scored`.
        let scoring = self.options.prompt_logprobs.is_some() && end >= self.scored && self.scored < prompt;
        match (scoring, end == self.tokens.len()) {
            (true, _) => Wanted::All,
            (false, true) => Wanted::Last,
            (false, false) => Wanted::None,
        }
    }

    /// What the logits after the token at `position` of its tokens bring: a prompt token's score, the next token, or both. A rank that does not
    /// lead has none, and is told what the first has chosen.
    pub(super) fn take(&mut self, position: usize, mut logits: Option<&mut [f32]>) {
        let prompt = self.prompt_length();
        let Self { options, seen, tokens, mask, next, scored, prompt_scores, .. } = self;
        if let Some(top) = options.prompt_logprobs {
            if position == 0 && *scored == 0 {
                prompt_scores.push(None);
                *scored = 1;
            }
            // The logits at a position score the token after it.
            if position + 1 == *scored && position + 1 < prompt {
                if let Some(logits) = &logits {
                    prompt_scores.push(Some(token_logprob(logits, tokens[position + 1], top)));
                }
                *scored += 1;
            }
        }
        if position + 1 == tokens.len()
            && let Some(logits) = &mut logits
        {
            let history = History { seen: seen.as_ref(), tokens, prompt };
            *next = Some(sample(&options.sampling, history, mask.as_ref(), logits));
        }
    }
}

fn unknown(pass: PassId) -> Error {
    Error::InvalidArgument(format!("there is no pass {pass}"))
}
