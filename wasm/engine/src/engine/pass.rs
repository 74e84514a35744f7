//! How an engine reads: a step of several sequences, checked before any change, as forward passes that they share.

use super::sequence::Sequence;
use super::{Engine, SequenceId, empty_state};
use crate::error::Result;
use crate::layer::gated_linear::CHUNK_TOKENS;
use crate::memory::Allowance;
use crate::model::{Counting, FEW_SEQUENCES, Model, Scratch, Segment, Wanted};
use crate::state::State;
use core::borrow::{Borrow, BorrowMut};
use smallvec::SmallVec;
use std::collections::BTreeMap;

/// Something of each sequence of a step. A token that is decoded allocates nothing, unless its state grows by a page.
pub(super) type Few<T> = SmallVec<[T; FEW_SEQUENCES]>;

/// Takes the logits after a token.
pub(super) type LogitReceiver<'a> = &'a mut dyn FnMut(&[f32]);

impl Engine {
    /// Every named sequence reads so many of its pending tokens; `logits` takes what comes after each of them.
    pub(super) fn read(&mut self, plan: &[(SequenceId, usize)], mut logits: Option<LogitReceiver<'_>>) -> Result<()> {
        let admitted = self.admit(plan);
        self.model.ranks().agree(admitted)?;
        let Self { model, scratch, sequences, empty, pass_tokens, .. } = self;
        let mut taken = named(sequences, plan);
        let begun = begin(empty.as_ref(), &mut taken);
        let mut result = model.ranks().agree(begun);
        while result.is_ok() && taken.iter().any(|(_, _, left)| *left > 0) {
            result = pass(model, scratch, *pass_tokens, &mut taken, &mut logits);
        }
        let result = model.ranks().leave(result);
        if result.is_err() {
            taken.iter_mut().for_each(|(_, sequence, _)| sequence.evict());
        }
        result
    }

    /// Checks a step's plan and that there is memory for it; takes attention's.
    pub(super) fn admit(&mut self, plan: &[(SequenceId, usize)]) -> Result<()> {
        let mut needed = 0usize;
        let mut longest = 0;
        for (index, (id, count)) in plan.iter().enumerate() {
            // The second time, none are left to read.
            self.check_pending(*id, if plan[..index].iter().all(|(other, _)| other != id) { *count } else { 0 })?;
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
}

/// The named sequences in a plan's order, with how much each has left to read.
fn named<'a>(
    sequences: &'a mut BTreeMap<SequenceId, Sequence>,
    plan: &[(SequenceId, usize)],
) -> Few<(SequenceId, &'a mut Sequence, usize)> {
    let place = |id: SequenceId| plan.iter().position(|(named, _)| *named == id);
    let mut taken: Few<_> =
        sequences.iter_mut().filter_map(|(id, sequence)| Some((place(*id)?, (*id, sequence, plan[place(*id)?].1)))).collect();
    taken.sort_unstable_by_key(|(place, _)| *place);
    taken.into_iter().map(|(_, named)| named).collect()
}

/// Gives an empty state to those that have none.
pub(super) fn begin<S: BorrowMut<Sequence>>(empty: Option<&State>, taken: &mut [(SequenceId, S, usize)]) -> Result<()> {
    for (_, sequence, _) in taken {
        let sequence = sequence.borrow_mut();
        if sequence.state.is_none() {
            (sequence.state, sequence.read) = (Some(empty_state(empty)?.fork()?), 0);
        }
    }
    Ok(())
}

/// One forward pass over as many of the tokens as fit it.
fn pass(
    model: &Model,
    scratch: &mut Scratch,
    pass_tokens: usize,
    taken: &mut [(SequenceId, &mut Sequence, usize)],
    receive: &mut Option<LogitReceiver<'_>>,
) -> Result<()> {
    let counts = share_pass(taken, pass_tokens);
    let mut firsts: Few<Option<usize>> = SmallVec::new();
    let mut segments: Few<Segment<'_>> = SmallVec::new();
    for ((_, sequence, left), count) in taken.iter_mut().zip(&counts) {
        if *count == 0 {
            firsts.push(None);
            continue;
        }
        let (prompt, first) = (sequence.prompt_length(), sequence.read);
        let end = first + count;
        let wanted = if receive.is_some() { Wanted::All } else { sequence.wanted(prompt, end) };
        let Sequence { state, base, tokens, read, meter, counted, .. } = &mut **sequence;
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
    let leads = model.ranks().leads();
    let wanted = model.read(&mut segments, None, scratch)?;
    drop(segments);
    let of_pass = taken.iter_mut().zip(firsts).filter_map(|((_, sequence, _), first)| Some((sequence, first?)));
    let mut parts: Few<(&mut &mut Sequence, usize)> = of_pass.collect();
    model.hand_out(&wanted, scratch, |segment, token, logits| {
        if let Some(receive) = receive {
            receive(logits);
        }
        let (sequence, first) = &mut parts[segment];
        sequence.take(*first + token, if leads { Some(logits) } else { None });
    })
}

/// How many tokens each sequence reads in the next pass: whatever is left while the pass has room, cut at a whole chunk of linear attention
/// so that the cut does not show in the result.
pub(super) fn share_pass<S: Borrow<Sequence>>(taken: &[(SequenceId, S, usize)], pass_tokens: usize) -> Few<usize> {
    let mut room = pass_tokens;
    taken
        .iter()
        .map(|(_, sequence, left)| {
            let sequence = sequence.borrow();
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
