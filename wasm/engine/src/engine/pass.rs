//! How an engine reads: a step of several sequences, checked before any change, as forward passes that they share.

use super::sequence::Sequence;
use super::{Engine, SequenceId};
use crate::error::Result;
use crate::layer::gated_linear::CHUNK_TOKENS;
use crate::memory::Allowance;
use crate::model::{Counting, Segment, Wanted};
use crate::sample::{History, sample, token_logprob};
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
    fn admit(&mut self, plan: &[(SequenceId, usize)]) -> Result<()> {
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
    fn begin(&self, taken: &mut [(SequenceId, Sequence, usize)]) -> Result<()> {
        for (_, sequence, _) in taken.iter_mut().filter(|(_, sequence, _)| sequence.state.is_none()) {
            (sequence.state, sequence.read) = (Some(self.empty.fork()?), 0);
        }
        Ok(())
    }

    /// One forward pass over as many of the tokens as fit it.
    fn pass(&mut self, taken: &mut [(SequenceId, Sequence, usize)], receive: &mut Option<LogitReceiver<'_>>) -> Result<()> {
        let counts = share_pass(taken, self.pass_tokens);
        let mut parts = Vec::new();
        let mut segments = Vec::new();
        for ((_, sequence, left), count) in taken.iter_mut().zip(&counts) {
            if *count == 0 {
                continue;
            }
            let prompt = sequence.prompt_length();
            let Sequence { options, state, base, seen, tokens, mask, read, next, scored, prompt_scores, meter, counted, .. } = sequence;
            let Some(state) = state else { continue };
            let end = *read + count;
            // The logits of token `scored - 1` score token `scored`.
            let scoring = options.prompt_logprobs.is_some() && end >= *scored && *scored < prompt;
            let logits = match (scoring || receive.is_some(), end == tokens.len()) {
                (true, _) => Wanted::All,
                (false, true) => Wanted::Last,
                (false, false) => Wanted::None,
            };
            let tokens: &[u32] = tokens;
            let counting = meter.as_mut().map(|meter| Counting { meter, from: counted.saturating_sub(*read) });
            segments.push(Segment { state, tokens: &tokens[*read..end], recurrent_from: *base + prompt, logits, counting });
            *counted = end.max(*counted);
            let history = History { seen: seen.as_ref(), tokens, prompt };
            parts.push((&*options, history, mask.as_ref(), *read, next, scored, prompt_scores));
            (*read, *left) = (end, *left - count);
        }
        let leads = self.model.ranks().leads();
        self.model.forward(&mut segments, &mut self.scratch, |segment, token, logits| {
            if let Some(receive) = receive {
                receive(logits);
            }
            let (options, history, mask, first, next, scored, prompt_scores) = &mut parts[segment];
            let History { tokens, prompt, .. } = *history;
            let position = *first + token;
            if let Some(top) = options.prompt_logprobs {
                if position == 0 && **scored == 0 {
                    prompt_scores.push(None);
                    **scored = 1;
                }
                // The logits at a position score the token after it.
                if position + 1 == **scored && position + 1 < prompt {
                    if leads {
                        prompt_scores.push(Some(token_logprob(logits, tokens[position + 1], top)));
                    }
                    **scored += 1;
                }
            }
            // Other ranks are told what the first has chosen.
            if position + 1 == tokens.len() && leads {
                **next = Some(sample(&options.sampling, *history, *mask, logits));
            }
        })
    }
}

/// How many tokens each sequence reads in the next pass: whatever is left while the pass has room, cut at a whole chunk of linear attention
/// so that the cut does not show in the result.
fn share_pass(taken: &[(SequenceId, Sequence, usize)], pass_tokens: usize) -> Vec<usize> {
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
