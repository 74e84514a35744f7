//! A state as bytes and back, bit for bit, in chunks: `wasm/STATE_FORMAT.md` is the format. The same state gives the same bytes here and in
//! Python (`gpu-backend/spikingbrain/state/file.py`).

mod fields;
mod header;
mod layout;
mod parts;
mod reader;
mod rows;
mod runs;
mod units;
mod writer;

pub use layout::RecurrentType;
pub use parts::PartBytes;
pub use reader::StateReader;
pub use runs::{Run, runs};
pub use writer::{SaveMode, StateWriter};

use super::State;
use super::page::KvType;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::memory::{Allowance, with_capacity};

/// What files a model's states are from: 32 zeros where it is not known. A reader that knows refuses all others; one that does not takes any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Digests {
    /// SHA-256 of the weights' file.
    pub model: [u8; 32],
    /// SHA-256 of what the tokenizer is made from.
    pub tokenizer: [u8; 32],
}

/// What a state belongs to.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    /// The whole model's.
    pub config: &'a Config,
    /// With the KV heads that this state has: where a rank has some of them, its file is its part of the whole one, header and all.
    pub part: &'a Config,
    /// How keys and values are kept in memory.
    pub kind: KvType,
    /// Which weights and tokenizer.
    pub digests: Digests,
}

impl Identity<'_> {
    fn has_rows(&self) -> bool {
        self.config.layers.iter().any(|layer| layer.mixer.softmax.is_some())
    }

    /// Where there are none, their type says nothing.
    fn written_kv(&self) -> KvType {
        if self.has_rows() { self.kind } else { KvType::F32 }
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::InvalidState(message.into())
}

impl State {
    /// Everything needed to continue, as bytes.
    pub fn save(&self, identity: &Identity<'_>) -> Result<Vec<u8>> {
        let mut writer = StateWriter::new(self, identity, SaveMode::default(), 0)?;
        let mut out = with_capacity(usize::try_from(writer.left()).unwrap_or(usize::MAX), "a saved state")?;
        while writer.left() > 0 {
            out.extend_from_slice(writer.next(self, usize::MAX));
        }
        Ok(out)
    }

    /// The state that these bytes hold. Anything that is not exactly a state of this model is refused, by name.
    pub fn load(identity: &Identity<'_>, bytes: &[u8]) -> Result<Self> {
        let mut reader = StateReader::default();
        reader.push(identity, bytes, &mut Allowance::new("a state", usize::MAX))?;
        reader.finish(identity.part)
    }

    /// The position of the state that a file holds, from its first bytes, and what it will take in memory; `None` while the header is not
    /// whole.
    pub fn described(identity: &Identity<'_>, first: &[u8]) -> Result<Option<(usize, usize)>> {
        let header = header::get_header(first, identity)?;
        Ok(header.map(|header| (header.position, Self::bytes_at(identity.config, identity.kind, header.position, 0))))
    }
}

/// Bytes within which the header of this model's states lies.
pub fn header_bytes(identity: &Identity<'_>) -> usize {
    header::header_bytes(identity)
}
