//! Bytes of JavaScript's own, which may be of any size: they cross in pieces, or after their size has been weighed. Generated glue would copy
//! them into the linear memory first, and trap where that cannot grow.

use core::cell::Cell;
use js_sys::Uint8Array;
use spikingbrain_engine::memory::Allowance;
use spikingbrain_engine::{Error, Result};

/// Large enough that a crossing costs nothing beside what is done with the bytes.
const PIECE_BYTES: u32 = 64 << 10;

/// Calls `take` with the array's bytes, piece by piece.
pub fn each_piece(array: &Uint8Array, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let length = array.length();
    let mut piece = reserved(length.min(PIECE_BYTES))?;
    let mut at = 0;
    while at < length {
        let end = length.min(at.saturating_add(PIECE_BYTES));
        piece.resize((end - at) as usize, 0);
        array.subarray(at, end).copy_to(&mut piece);
        take(&piece)?;
        at = end;
    }
    Ok(())
}

/// The array's bytes, where they fit into `free`.
pub fn all(array: &Uint8Array, free: usize) -> Result<Vec<u8>> {
    let length = array.length();
    Allowance::new("the bytes of a state", free).take(length as usize)?;
    let mut bytes = reserved(length)?;
    bytes.resize(length as usize, 0);
    array.copy_to(&mut bytes);
    Ok(bytes)
}

fn reserved(length: u32) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let needed = length as usize;
    bytes.try_reserve_exact(needed).map_err(|_| Error::OutOfMemory { what: "a caller's bytes", needed, free: 0 })?;
    Ok(bytes)
}

/// An array that is filled from the front.
pub struct Filling {
    array: Uint8Array,
    filled: Cell<u32>,
}

impl Filling {
    /// `length` is that of all parts together; a linear memory of 32 bits holds no longer state.
    pub fn new(length: usize) -> Self {
        Self { array: Uint8Array::new_with_length(u32::try_from(length).unwrap_or(u32::MAX)), filled: Cell::new(0) }
    }

    pub fn put(&self, part: &[u8]) {
        let start = self.filled.get();
        let end = start + u32::try_from(part.len()).unwrap_or(u32::MAX - start);
        self.array.subarray(start, end).copy_from(part);
        self.filled.set(end);
    }

    pub fn into_array(self) -> Uint8Array {
        self.array
    }
}
