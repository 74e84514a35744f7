//! Bytes of JavaScript's own, which may be of any size: they cross in chunks, or after their size has been weighed. Generated glue would copy
//! them into the linear memory first, and trap where that cannot grow.

use core::cell::Cell;
use js_sys::{Float32Array, Uint8Array, Uint32Array};
use spikingbrain_engine::{Error, Result};

/// Large enough that a crossing costs nothing beside what is done with the bytes, and small enough that a processor's cache has it all.
pub const CHUNK_BYTES: u32 = 256 << 10;

/// Calls `take` with the array's bytes, chunk by chunk; `room` is where they lie meanwhile.
pub fn each_chunk(array: &Uint8Array, room: &mut Vec<u8>, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let length = array.length();
    make_room(room, length.min(CHUNK_BYTES))?;
    let mut at = 0;
    while at < length {
        let end = length.min(at.saturating_add(CHUNK_BYTES));
        let chunk = &mut room[..(end - at) as usize];
        array.subarray(at, end).copy_to(chunk);
        take(chunk)?;
        at = end;
    }
    Ok(())
}

/// Lets `room` have at least so many bytes.
pub fn make_room(room: &mut Vec<u8>, bytes: u32) -> Result<()> {
    if room.len() < bytes as usize {
        *room = reserved(bytes)?;
        room.resize(bytes as usize, 0);
    }
    Ok(())
}

/// As [`each_chunk`], of numbers.
pub fn each_number(array: &Uint32Array, mut take: impl FnMut(&[u32]) -> Result<()>) -> Result<()> {
    let length = array.length();
    let most = CHUNK_BYTES / 4;
    let mut chunk = reserved(length.min(most))?;
    let mut at = 0;
    while at < length {
        let end = length.min(at.saturating_add(most));
        chunk.resize((end - at) as usize, 0);
        array.subarray(at, end).copy_to(&mut chunk);
        take(&chunk)?;
        at = end;
    }
    Ok(())
}

/// The array's first bytes, at most `most`.
pub fn front(array: &Uint8Array, most: usize) -> Result<Vec<u8>> {
    let length = array.length().min(u32::try_from(most).unwrap_or(u32::MAX));
    let mut bytes = reserved(length)?;
    bytes.resize(length as usize, 0);
    array.subarray(0, length).copy_to(&mut bytes);
    Ok(bytes)
}

/// All of the array's bytes.
pub fn all(array: &Uint8Array) -> Result<Vec<u8>> {
    front(array, usize::MAX)
}

/// The numbers that little-endian bytes are.
pub fn floats(array: &Uint8Array) -> Result<Vec<f32>> {
    let mut values = reserved(array.length() / 4)?;
    each_chunk(array, &mut Vec::new(), |chunk| {
        values.extend(chunk.chunks_exact(4).map(|word| f32::from_le_bytes([word[0], word[1], word[2], word[3]])));
        Ok(())
    })?;
    Ok(values)
}

/// Numbers as bytes of JavaScript's own.
pub fn of_floats(values: &[f32]) -> Uint8Array {
    Uint8Array::new(&Float32Array::from(values).buffer())
}

fn reserved<T>(length: u32) -> Result<Vec<T>> {
    let mut items = Vec::new();
    let needed = (length as usize).saturating_mul(size_of::<T>());
    items.try_reserve_exact(length as usize).map_err(|_| Error::OutOfMemory { what: "a caller's bytes", needed, free: 0 })?;
    Ok(items)
}

/// An array that is filled from the front.
pub struct Filling {
    array: Uint8Array,
    filled: Cell<u32>,
}

impl Filling {
    /// `length` is that of all parts together.
    pub fn new(length: u32) -> Self {
        Self { array: Uint8Array::new_with_length(length), filled: Cell::new(0) }
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
