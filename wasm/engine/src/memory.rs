//! Memory that is asked for before it is taken: no request that a file, a state or a caller makes may end in the allocator's abort.

use crate::error::{Error, Result};

/// A zeroed vector of `length` items, or `OutOfMemory`: a plain `vec!` would trap when the linear memory cannot grow.
pub(crate) fn zeroed<T: Copy + Default>(length: usize, what: &'static str) -> Result<Vec<T>> {
    let mut items = with_capacity(length, what)?;
    items.resize(length, T::default());
    Ok(items)
}

/// An empty vector with room for `length` items, or `OutOfMemory`.
pub(crate) fn with_capacity<T>(length: usize, what: &'static str) -> Result<Vec<T>> {
    let mut items = Vec::new();
    items.try_reserve_exact(length).map_err(|_| Error::OutOfMemory { what, needed: bytes_of::<T>(length), free: 0 })?;
    Ok(items)
}

/// Lets the linear memory grow by `bytes` at once, where there is one: what is allocated afterwards finds its room there. Every growth is a new
/// buffer to JavaScript, which its collector weighs anew. Where it cannot grow so far, whoever allocates says so.
pub(crate) fn grow_once(bytes: u64) {
    if cfg!(target_arch = "wasm32")
        && let Ok(bytes) = usize::try_from(bytes)
    {
        drop(with_capacity::<u8>(bytes, "weights"));
    }
}

/// Bytes of `length` items; the largest number when there is no such size.
pub(crate) fn bytes_of<T>(length: usize) -> usize {
    length.saturating_mul(size_of::<T>())
}

/// Bytes that may still be taken for one purpose.
#[derive(Debug)]
pub struct Allowance {
    what: &'static str,
    free: usize,
}

impl Allowance {
    /// `what` names the purpose in the message of a refusal.
    pub fn new(what: &'static str, free: usize) -> Self {
        Self { what, free }
    }

    /// What has been taken of all there could be.
    pub(crate) fn taken(&self) -> usize {
        usize::MAX - self.free
    }

    /// Takes `bytes`, or refuses and takes nothing.
    pub fn take(&mut self, bytes: usize) -> Result<()> {
        match self.free.checked_sub(bytes) {
            Some(left) => {
                self.free = left;
                Ok(())
            }
            None => Err(Error::OutOfMemory { what: self.what, needed: bytes, free: self.free }),
        }
    }

    /// Gives a scratch buffer room for `length` items without a later allocation. What it held is lost where it has to grow, so that the old
    /// and the new are never there together.
    pub fn reserve<T>(&mut self, buffer: &mut Vec<T>, length: usize) -> Result<()> {
        if length <= buffer.capacity() {
            return Ok(());
        }
        self.take(bytes_of::<T>(length - buffer.capacity()))?;
        *buffer = Vec::new();
        *buffer = with_capacity(length, self.what)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_counts_what_a_buffer_grows_by() {
        let mut allowance = Allowance::new("buffers", 40);
        let mut buffer: Vec<u32> = Vec::new();
        allowance.reserve(&mut buffer, 6).unwrap();
        allowance.reserve(&mut buffer, 5).unwrap();
        allowance.reserve(&mut buffer, 10).unwrap();
        assert_eq!(buffer.capacity(), 10);
        assert_eq!(allowance.reserve(&mut buffer, 11), Err(Error::OutOfMemory { what: "buffers", needed: 4, free: 0 }));
        assert_eq!(buffer.capacity(), 10);
    }

    #[test]
    fn a_size_beyond_any_memory_is_refused() {
        assert!(matches!(zeroed::<f32>(usize::MAX, "a test"), Err(Error::OutOfMemory { what: "a test", needed: usize::MAX, free: 0 })));
    }
}
