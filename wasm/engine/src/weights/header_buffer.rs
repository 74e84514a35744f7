//! Collects a file's first bytes until they hold a whole header.

use super::gguf::{self, Header, MAX_HEADER_BYTES};
use crate::error::{Error, Result};

/// How much of the caller's bytes is buffered at a time: what follows the header in many of them is not.
const CHUNK_BYTES: usize = 64 << 10;

/// See the module.
#[derive(Debug, Default)]
pub struct HeaderBuffer {
    bytes: Vec<u8>,
    try_at: usize,
}

impl HeaderBuffer {
    /// Takes from the start of `bytes`, and moves it on, until there is a header, or none of them is left.
    pub fn push(&mut self, bytes: &mut &[u8]) -> Result<Option<Header>> {
        while !bytes.is_empty() {
            let (chunk, rest) = bytes.split_at(bytes.len().min(CHUNK_BYTES));
            self.bytes.try_reserve(chunk.len()).map_err(|_| Error::OutOfMemory { what: "the header", needed: chunk.len(), free: 0 })?;
            self.bytes.extend_from_slice(chunk);
            *bytes = rest;
            // Parsing starts over each time, so it waits for the buffer to grow by a fifth.
            if self.bytes.len() >= self.try_at
                && let Some(header) = self.parse()?
            {
                return Ok(Some(header));
            }
        }
        Ok(None)
    }

    /// The header, if it is whole.
    pub fn parse(&mut self) -> Result<Option<Header>> {
        let header = gguf::parse(&self.bytes)?;
        if header.is_none() {
            if self.bytes.len() > MAX_HEADER_BYTES {
                return Err(Error::InvalidGguf(format!("the header is longer than {MAX_HEADER_BYTES} bytes")));
            }
            self.try_at = self.bytes.len() + self.bytes.len() / 5 + 1;
        }
        Ok(header)
    }

    /// The bytes so far; it then holds none.
    pub fn take(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.bytes)
    }

    /// How many bytes it holds.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}
