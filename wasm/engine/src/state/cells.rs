//! The numbers of a page: its own memory, or a stretch of memory that it shares with its neighbours.
//!
//! Attention walks through the pages of a layer one after another. Where they lie side by side, a processor foresees the walk; where each lies
//! for itself, it waits for memory at the beginning of every one, longer than it computes.

use crate::error::Result;
use crate::memory::with_capacity;
use core::ops::{Deref, DerefMut, Range};
use std::rc::Rc;

/// See the module.
#[derive(Debug)]
pub enum Cells<T> {
    /// For itself.
    Own(Vec<T>),
    /// Beside its neighbours'.
    Stretch(Rc<Vec<T>>, Range<usize>),
}

impl<T> Deref for Cells<T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        match self {
            Self::Own(cells) => cells,
            Self::Stretch(shared, range) => &shared[range.clone()],
        }
    }
}

/// A stretch becomes the page's own before it is written; only full pages have one, and nothing writes these.
impl<T: Copy> DerefMut for Cells<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        if let Self::Stretch(shared, range) = self {
            *self = Self::Own(shared[range.clone()].to_vec());
        }
        match self {
            Self::Own(cells) => cells,
            Self::Stretch(..) => &mut [],
        }
    }
}

impl<T: Copy> Cells<T> {
    /// Whether it shares memory with its neighbours.
    pub fn is_stretch(&self) -> bool {
        matches!(self, Self::Stretch(..))
    }

    /// Copies of these, side by side in one memory.
    pub fn join<'a>(parts: impl Iterator<Item = &'a Self> + Clone, what: &'static str) -> Result<Vec<Self>>
    where
        T: 'a,
    {
        let mut all = with_capacity(parts.clone().map(|part| part.len()).sum(), what)?;
        let mut ranges = with_capacity(parts.clone().count(), what)?;
        for part in parts {
            ranges.push(all.len()..all.len() + part.len());
            all.extend_from_slice(part);
        }
        let shared = Rc::new(all);
        Ok(ranges.into_iter().map(|range| Self::Stretch(Rc::clone(&shared), range)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_hold_what_was_joined_and_part_before_they_are_written() {
        let mut joined = Cells::join([&Cells::Own(vec![1, 2]), &Cells::Own(vec![3])].into_iter(), "a test").unwrap();
        assert!(joined.iter().all(Cells::is_stretch));
        assert_eq!((&*joined[0], &*joined[1]), (&[1, 2][..], &[3][..]));
        joined[0][1] = 9;
        assert!(!joined[0].is_stretch());
        assert_eq!((&*joined[0], &*joined[1]), (&[1, 9][..], &[3][..]));
    }
}
