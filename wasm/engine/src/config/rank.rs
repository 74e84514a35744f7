//! Which part of a model one engine computes: alone all of it, or as one of several ranks some of every matrix's output rows.
//!
//! Whole rows and whole heads are divided, never a sum, so every number is computed by one rank in its one order, and the same bits come
//! out for any number of ranks. Shares may be uneven, and empty where there are fewer units than ranks; the first rank's never is.

use super::Config;
use crate::error::{Error, Result};
use crate::weights::matrix::PANEL_ROWS;
use core::ops::Range;

/// Most ranks of one model.
pub const MAX_RANKS: usize = 64;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rank {
    number: usize,
    ranks: usize,
}

impl Default for Rank {
    fn default() -> Self {
        Self { number: 0, ranks: 1 }
    }
}

impl Rank {
    /// Rank `number` of `ranks`, counted from 0.
    pub fn new(number: usize, ranks: usize) -> Result<Self> {
        if ranks == 0 || ranks > MAX_RANKS || number >= ranks {
            return Err(Error::InvalidArgument(format!(
                "ranks must be from 1 to {MAX_RANKS} and the rank below it; they are {ranks} and {number}"
            )));
        }
        Ok(Self { number, ranks })
    }

    /// This one's, from 0.
    pub fn number(self) -> usize {
        self.number
    }

    /// How many there are.
    pub fn ranks(self) -> usize {
        self.ranks
    }

    /// Whether it is alone and has all of the model.
    pub fn is_whole(self) -> bool {
        self.ranks == 1
    }

    /// Of `units`, those of a rank.
    fn share(self, rank: usize, units: usize) -> Range<usize> {
        let start = |rank: usize| (units * rank).div_ceil(self.ranks);
        start(rank)..start(rank + 1)
    }

    /// Of a matrix's `rows`, those of a rank: whole panels, the last of which may be short.
    pub fn rows_of(self, rank: usize, rows: usize) -> Range<usize> {
        let panels = self.share(rank, rows.div_ceil(PANEL_ROWS));
        (panels.start * PANEL_ROWS).min(rows)..(panels.end * PANEL_ROWS).min(rows)
    }

    /// Of `rows` that belong to KV heads, as many to each, those of a rank.
    pub fn heads_of(self, rank: usize, kv_heads: usize, rows: usize) -> Range<usize> {
        let (heads, each) = (self.share(rank, kv_heads), rows / kv_heads);
        heads.start * each..heads.end * each
    }

    /// The config with this rank's heads alone. Widths that all ranks have after they are joined stay as they are.
    pub fn part(self, config: &Config) -> Config {
        let of = |rows| self.heads_of(self.number, config.kv_heads, rows).len();
        Config { heads: of(config.heads), kv_heads: of(config.kv_heads), ..config.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_whole_panels_and_heads_and_leave_nothing_out() {
        let three = Rank::new(0, 3).unwrap();
        assert_eq!([0, 1, 2].map(|rank| three.rows_of(rank, 37)), [0..16, 16..28, 28..37]);
        assert_eq!([0, 1, 2].map(|rank| three.heads_of(rank, 2, 12)), [0..6, 6..12, 12..12]);
        assert_eq!([0, 1, 2].map(|rank| three.rows_of(rank, 5)), [0..4, 4..5, 5..5]);
        assert_eq!(Rank::default().rows_of(0, 37), 0..37);
    }

    #[test]
    fn a_rank_is_one_of_a_bounded_number() {
        for (rank, ranks) in [(0, 0), (2, 2), (0, MAX_RANKS + 1)] {
            assert!(Rank::new(rank, ranks).unwrap_err().to_string().contains("from 1 to 64"), "{rank} of {ranks}");
        }
    }
}
