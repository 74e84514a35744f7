//! States on their way out of an engine and into it, in chunks, while other sequences go on.

use super::sequence::Transfer;
use super::{Engine, SequenceId};
use crate::config::Cut;
use crate::error::{Error, Result};
use crate::memory::Allowance;
use crate::state::{Run, SaveMode, State, StateReader, StateWriter, header_bytes, runs};
use crate::token_set::TokenSet;

/// What a state file's first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateDescription {
    /// Tokens of text that made the state.
    pub tokens: usize,
    /// Bytes that it takes in memory.
    pub bytes: usize,
}

impl Engine {
    /// Begins to save a sequence, as far as it has read: until [`Self::end_save`] it cannot step. Rows of tokens in pages before `from_page`
    /// are left out. Returns how many bytes will come.
    pub fn begin_save(&mut self, id: SequenceId, from_page: usize, mode: SaveMode) -> Result<u64> {
        let sequence = self.sequence(id)?;
        sequence.check_idle(id)?;
        sequence.check_state(id)?;
        let writer = StateWriter::new(self.state_or_empty(id)?, &self.identity(), mode, from_page)?;
        let left = writer.left();
        self.sequence_mut(id)?.transfer = Some(Transfer::Saving(writer));
        Ok(left)
    }

    /// Bytes that [`Self::read_saved`] has still to give.
    pub fn saved_left(&self, id: SequenceId) -> Result<u64> {
        match &self.sequence(id)?.transfer {
            Some(Transfer::Saving(writer)) => Ok(writer.left()),
            None | Some(Transfer::Restoring(_) | Transfer::Passing) => Err(not_in_transfer(id, "saved")),
        }
    }

    /// The next bytes of a sequence that is being saved, at most `most`; none when all are out.
    pub fn read_saved(&mut self, id: SequenceId, most: usize) -> Result<&[u8]> {
        let sequence = self.sequences.get_mut(&id).ok_or_else(|| super::unknown(id))?;
        match &mut sequence.transfer {
            Some(Transfer::Saving(writer)) => match sequence.state.as_ref().or(self.empty.as_ref()) {
                Some(state) => Ok(writer.next(state, most)),
                None => Err(not_in_transfer(id, "saved")),
            },
            None | Some(Transfer::Restoring(_) | Transfer::Passing) => Err(not_in_transfer(id, "saved")),
        }
    }

    /// After the last bytes, or before.
    pub fn end_save(&mut self, id: SequenceId) -> Result<()> {
        self.saved_left(id)?;
        self.sequence_mut(id)?.transfer = None;
        Ok(())
    }

    /// Begins to give an empty sequence a state. `seen` are the tokens that made it, which a repetition penalty looks at.
    pub fn begin_restore(&mut self, id: SequenceId, seen: TokenSet) -> Result<()> {
        let sequence = self.sequence_mut(id)?;
        sequence.check_idle(id)?;
        if sequence.base > 0 || !sequence.tokens.is_empty() {
            return Err(Error::InvalidArgument(format!("sequence {id} is not empty")));
        }
        sequence.transfer = Some(Transfer::Restoring(StateReader::default()));
        sequence.seen = Some(seen);
        Ok(())
    }

    /// The state file's next bytes. What is wrong is refused as soon as it is there, a state that does not fit as soon as its header is; the
    /// sequence is then empty again.
    pub fn push_state(&mut self, id: SequenceId, bytes: &[u8]) -> Result<()> {
        let mut allowance = Allowance::new("a restored state", self.free_state_bytes());
        let mut reader = self.take_reader(id)?;
        let pushed = reader.push(&self.identity(), bytes, &mut allowance);
        self.model.ranks().agree(pushed).inspect_err(|_| self.forget(id))?;
        self.sequence_mut(id)?.transfer = Some(Transfer::Restoring(reader));
        Ok(())
    }

    /// After the last byte: tokens of text that the state has read. Where some are missing the sequence is empty again.
    pub fn end_restore(&mut self, id: SequenceId) -> Result<usize> {
        let state = self.take_reader(id)?.finish(self.model.part());
        let state = self.model.ranks().agree(state).inspect_err(|_| self.forget(id))?;
        let config = self.model.config();
        let learned_sinks = config.learned_sinks;
        let whole = Cut::whole(config.layers.len(), config.vocabulary);
        let bytes = || State::part_bytes_at(config, &whole, self.kv_type, state.position(), 0) as u64;
        let shared = (!config.is_whole()).then(bytes);
        let sequence = self.sequence_mut(id)?;
        sequence.base = state.position() - learned_sinks;
        sequence.state = Some(state);
        sequence.shared_bytes = shared;
        Ok(sequence.base)
    }

    /// What a state file's first bytes say; `None` while they are fewer than [`Self::state_header_bytes`].
    pub fn describe_state(&self, first: &[u8]) -> Result<Option<StateDescription>> {
        let described = State::described(&self.identity(), first)?;
        Ok(described.map(|(position, bytes)| StateDescription { tokens: position - self.model.config().learned_sinks, bytes }))
    }

    /// How the ranks' parts lie in a state file whose first bytes these are, without the rows of tokens before `from_page`; `None` while they
    /// are too few.
    pub fn state_runs(&self, first: &[u8], from_page: usize) -> Result<Option<Vec<Run>>> {
        runs(&self.identity(), first, from_page)
    }

    /// Bytes of a state file's header.
    pub fn state_header_bytes(&self) -> usize {
        header_bytes(&self.identity())
    }

    fn take_reader(&mut self, id: SequenceId) -> Result<StateReader> {
        let transfer = &mut self.sequence_mut(id)?.transfer;
        match transfer.take() {
            Some(Transfer::Restoring(reader)) => Ok(reader),
            other => {
                *transfer = other;
                Err(not_in_transfer(id, "restored"))
            }
        }
    }

    /// After a restore that came to nothing.
    fn forget(&mut self, id: SequenceId) {
        if let Some(sequence) = self.sequences.get_mut(&id) {
            sequence.seen = None;
        }
    }
}

fn not_in_transfer(id: SequenceId, how: &str) -> Error {
    Error::InvalidArgument(format!("sequence {id} is not being {how}"))
}
