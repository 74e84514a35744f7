//! How an engine reads: a step of several sequences, checked before any change, as forward passes that they share.

use super::sequence::Sequence;
use super::{Engine, SequenceId};
use crate::error::Result;
use crate::layer::gated_linear::CHUNK_TOKENS;
use crate::memory::Allowance;
use crate::model::{Counting, Segment, Wanted};
use crate::state::State;
use std::collections::BTreeSet;

/// Takes the logits after a token.
pub(super) type LogitReceiver<'a> = &'a mut dyn FnMut(&[f32]);

impl Engine {
    /// Every named sequence reads so many of its pending tokens; `logits` takes what comes after each of them.
    pub(super) fn read(&mut self, plan: &[(SequenceId, usize)], mut logits: Option<LogitReceiver<'_>>) -> Result<()> {
        let admitted = self.admit(plan);
        self.model.ranks().agree(admitted)?;
        let mut taken: Vec<(SequenceId, Sequence, usize)> = Vec::new();
        for (id, count) in plan {
            taken.extend(self.sequences.remove(id).map(|sequence| (*id, sequence, *count)));
        }
        let begun = self.begin(&mut taken);
        let mut result = self.model.ranks().agree(begun);
        while result.is_ok() && taken.iter().any(|(_, _, left)| *left > 0) {
            result = self.pass(&mut taken, &mut logits);
        }
        let result = self.model.ranks().leave(result);
        for (id, mut sequence, _) in taken {
            if result.is_err() {
                sequence.evict();
            }
            self.sequences.insert(id, sequence);
        }
        result
    }

    /// Checks a step's plan and that there is memory for it; takes attention's.
    pub(super) fn admit(&mut self, plan: &[(SequenceId, usize)]) -> Result<()> {
        let mut seen = BTreeSet::new();
        let mut needed = 0usize;
        let mut longest = 0;
        for (id, count) in plan {
            // The second time, none are left to read.
            self.check_pending(*id, if seen.insert(*id) { *count } else { 0 })?;
            let sequence = self.sequence(*id)?;
            sequence.check_idle(*id)?;
            sequence.check_state(*id)?;
            if *count == sequence.pending() {
                sequence.check_continued()?;
            }
            let held = sequence.state.as_ref().map_or(0, State::bytes);
            let position = sequence.base + sequence.read + count;
            needed = needed.saturating_add(self.state_bytes(position).saturating_sub(held));
            longest = longest.max(position);
        }
        let mut allowance = Allowance::new("state", self.free_state_bytes());
        allowance.take(needed)?;
        self.model.reserve(&mut self.scratch, self.pass_tokens, longest + self.model.config().learned_sinks, &mut allowance)
    }

    /// Gives an empty state to those that have none.
    pub(super) fn begin(&self, taken: &mut [(SequenceId, Sequence, usize)]) -> Result<()> {
        for (_, sequence, _) in taken.iter_mut().filter(|(_, sequence, _)| sequence.state.is_none()) {
            (sequence.state, sequence.read) = (Some(self.empty()?.fork()?), 0);
        }
        Ok(())
    }

    /// One forward pass over as many of the tokens as fit it.
    fn pass(&mut self, taken: &mut [(SequenceId, Sequence, usize)], receive: &mut Option<LogitReceiver<'_>>) -> Result<()> {
        let counts = share_pass(taken, self.pass_tokens);
        let mut firsts = Vec::new();
        let mut segments = Vec::new();
        for ((_, sequence, left), count) in taken.iter_mut().zip(&counts) {
            if *count == 0 {
                firsts.push(None);
                continue;
            }
            let (prompt, first) = (sequence.prompt_length(), sequence.read);
            let end = first + count;
            let wanted = if receive.is_some() { Wanted::All } else { sequence.wanted(prompt, end) };
            let Sequence { state, base, tokens, read, meter, counted, .. } = sequence;
            let Some(state) = state else {
                firsts.push(None);
                continue;
            };
            let counting = meter.as_mut().map(|meter| Counting { meter, from: counted.saturating_sub(first) });
            segments.push(Segment { state, tokens: &tokens[first..end], recurrent_from: *base + prompt, logits: wanted, counting });
            *counted = end.max(*counted);
            (*read, *left) = (end, *left - count);
            firsts.push(Some(first));
        }
        let leads = self.model.ranks().leads();
        let wanted = self.model.read(&mut segments, None, &mut self.scratch)?;
        drop(segments);
        let of_pass = taken.iter_mut().zip(firsts).filter_map(|((_, sequence, _), first)| Some((sequence, first?)));
        let mut parts: Vec<(&mut Sequence, usize)> = of_pass.collect();
        self.model.hand_out(&wanted, &mut self.scratch, |segment, token, logits| {
            if let Some(receive) = receive {
                receive(logits);
            }
            let (sequence, first) = &mut parts[segment];
            sequence.take(*first + token, if leads { Some(logits) } else { None });
        })
    }
}

/// How many tokens each sequence reads in the next pass: whatever is left while the pass has room, cut at a whole chunk of linear attention
/// so that the cut does not show in the result.
pub(super) fn share_pass(taken: &[(SequenceId, Sequence, usize)], pass_tokens: usize) -> Vec<usize> {
    let mut room = pass_tokens;
    taken
        .iter()
        .map(|(_, sequence, left)| {
            let mut count = (*left).min(room);
            if count < *left {
                let end = sequence.base + sequence.read + count;
                count = count.saturating_sub(end % CHUNK_TOKENS);
            }
            room -= count;
            count
        })
        .collect()
}
