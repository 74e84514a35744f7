//! A state as bytes, chunk by chunk: a cursor, so that whoever sends them decides when the next ones are made.

use super::header::{Header, header_bytes, put_header};
use super::layout::{Encoding, Layout, RecurrentType};
use super::units::put_unit;
use super::{Identity, State};
use crate::error::Result;
use crate::memory::with_capacity;
use crate::state::KvType;

/// Bytes that are made at a time: a crossing into JavaScript costs nothing beside them.
const CHUNK_BYTES: usize = 16 << 10;

/// What is rounded when a state is saved; nothing, unless it is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SaveMode {
    /// Dense keys and values become codes, as an engine that keeps them as int8 rounds them.
    pub int8_rows: bool,
    /// How linear states and sums of evicted tokens are written.
    pub recurrent: RecurrentType,
}

/// See the module. It must be given one state all the time, which nothing may change.
#[derive(Debug)]
pub struct StateWriter {
    layout: Layout,
    encoding: Encoding,
    section: usize,
    unit: u64,
    /// Bytes that have been made, and how many of them have been taken.
    chunk: Vec<u8>,
    taken: usize,
    left: u64,
}

impl StateWriter {
    /// Of a file without the rows of tokens before `from_page`; its header tells of the whole file.
    pub fn new(state: &State, identity: &Identity<'_>, mode: SaveMode, from_page: usize) -> Result<Self> {
        let kv = if mode.int8_rows && identity.has_rows() { KvType::Int8 } else { identity.written_kv() };
        let encoding = Encoding { kv, recurrent: mode.recurrent };
        let layout = Layout::new(identity.part, &identity.part.cut, encoding, state.position, from_page);
        let header_bytes = header_bytes(identity);
        let mut chunk = with_capacity(CHUNK_BYTES.max(layout.longest_unit()).max(header_bytes), "a chunk of a saved state")?;
        put_header(&mut chunk, identity, Header { position: state.position, encoding });
        let left = header_bytes as u64 + layout.bytes();
        Ok(Self { layout, encoding, section: 0, unit: 0, chunk, taken: 0, left })
    }

    /// Bytes still to come.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// The next bytes, at most `most`; none when all are out.
    pub fn next(&mut self, state: &State, most: usize) -> &[u8] {
        if self.taken == self.chunk.len() {
            self.fill(state);
        }
        let start = self.taken;
        self.taken = self.chunk.len().min(start.saturating_add(most));
        self.left -= (self.taken - start) as u64;
        &self.chunk[start..self.taken]
    }

    fn fill(&mut self, state: &State) {
        self.chunk.clear();
        self.taken = 0;
        while let Some(section) = self.layout.sections.get(self.section) {
            if !self.chunk.is_empty() && self.chunk.len() + section.unit_bytes > CHUNK_BYTES {
                return;
            }
            put_unit(&mut self.chunk, state, &self.layout, self.encoding, section, self.unit);
            self.unit += 1;
            if self.unit == section.units {
                (self.section, self.unit) = (self.section + 1, 0);
            }
        }
    }
}
