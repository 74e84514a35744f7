//! Where the ranks of one model meet: each has computed its rows, and all go on with everybody's. An engine that is alone has nothing to
//! exchange, and pays nothing.
//!
//! All ranks go through the same exchanges in the same order. A rank that cannot go on leaves, and then no other waits for it.

use crate::config::{Config, Experts, FeedForward, MAX_RANKS, Rank};
use crate::error::{Error, Result};
use crate::kernel::{Activations, BLOCK_WORDS};
use crate::layer::projection::compact;
use crate::memory::Allowance;
use crate::weights::TensorType;
use crate::weights::matrix::PANEL_ROWS;
use crate::weights::tensor_type::BLOCK;
use core::cell::RefCell;
use core::ops::Range;

/// How one rank reaches the others: threads of a test, or worker threads over shared memory.
pub trait Exchange: core::fmt::Debug {
    /// Every rank hands in its own numbers, which lie at `at` among those of all ranks together, and waits for the others. `all` is filled
    /// with everybody's; empty where this rank does not want them. Fails with the code that a rank has left with.
    fn gather(&self, own: &[f32], at: usize, all: &mut [f32]) -> core::result::Result<(), u32>;

    /// Fails every gathering that another rank waits in or comes to, until the ranks are set back.
    fn leave(&self, code: u32);
}

/// One of the ranks, with its way to the others.
#[derive(Debug, Default)]
pub struct Ranks {
    rank: Rank,
    exchange: Option<Box<dyn Exchange>>,
    all: RefCell<Vec<f32>>,
    /// This rank's codes on their way out, and everybody's.
    codes: RefCell<Vec<f32>>,
}

impl Ranks {
    /// One of several.
    pub fn new(rank: Rank, exchange: Box<dyn Exchange>) -> Self {
        Self { rank, exchange: Some(exchange), all: RefCell::default(), codes: RefCell::default() }
    }

    /// Which one.
    pub fn rank(&self) -> Rank {
        self.rank
    }

    /// Whether this rank chooses tokens.
    pub fn leads(&self) -> bool {
        self.rank.number() == 0
    }

    /// Of a matrix's `rows`, this rank's.
    pub fn rows(&self, rows: usize) -> Range<usize> {
        self.rank.rows_of(self.rank.number(), rows)
    }

    /// Takes the memory of gathering so many numbers.
    pub fn reserve(&self, floats: usize, allowance: &mut Allowance) -> Result<()> {
        if self.exchange.is_none() {
            return Ok(());
        }
        allowance.reserve(&mut self.codes.borrow_mut(), floats.div_ceil(BLOCK) * BLOCK_WORDS)?;
        allowance.reserve(&mut self.all.borrow_mut(), floats)
    }

    /// `y`, `[tokens, own rows]` as a product with this rank's part of a matrix of `rows` rows has written it, becomes `[tokens, rows]`.
    /// Returns its stride: alone, rows stay padded to whole panels.
    pub fn join_product(&self, y: &mut Vec<f32>, tokens: usize, rows: usize) -> Result<usize> {
        if self.exchange.is_none() {
            return Ok(rows.next_multiple_of(PANEL_ROWS));
        }
        compact(y, tokens, self.rows(rows).len());
        self.join_rows(y, tokens, rows)?;
        Ok(rows)
    }

    /// `x`, `[tokens, own rows]` without padding, becomes `[tokens, rows]`.
    pub fn join_rows(&self, x: &mut Vec<f32>, tokens: usize, rows: usize) -> Result<()> {
        self.join(x, tokens, |rank| self.rank.rows_of(rank, rows))
    }

    /// As [`Self::join_product`] for the first rank, which chooses tokens; the others hand in their part and want none.
    pub fn join_logits(&self, y: &mut Vec<f32>, tokens: usize, vocabulary: usize) -> Result<usize> {
        let Some(exchange) = self.exchange.as_ref().filter(|_| !self.leads()) else {
            return self.join_product(y, tokens, vocabulary);
        };
        let own = self.rows(vocabulary);
        compact(y, tokens, own.len());
        exchange.gather(y, own.start * tokens, &mut []).map_err(left)?;
        Ok(vocabulary)
    }

    /// `x`, `[tokens, own KV heads, ..]`, becomes `[tokens, KV heads, ..]`, `width` numbers a token.
    pub fn join_heads(&self, x: &mut Vec<f32>, tokens: usize, kv_heads: usize, width: usize) -> Result<()> {
        self.join(x, tokens, |rank| self.rank.heads_of(rank, kv_heads, width))
    }

    /// Whether ranks may hand over codes of what they have computed, those of `columns_of(rank)`, where it next meets a matrix of this type, which
    /// takes no more of it: whole blocks, which come out as they would of whole rows. A quarter of the bytes, and each rounds its own.
    pub fn joins_codes(&self, kind: TensorType, columns_of: impl Fn(usize) -> Range<usize>) -> bool {
        let whole = |rank| columns_of(rank).end.is_multiple_of(BLOCK);
        self.exchange.is_some() && kind.block_elements() == BLOCK && (0..self.rank.ranks()).all(whole)
    }

    /// `x`, `[tokens, own columns]`, becomes the codes of `[tokens, columns]`. Only where [`Self::joins_codes`] says so.
    pub fn join_codes(&self, x: &mut Activations, columns: usize, columns_of: impl Fn(usize) -> Range<usize>) -> Result<()> {
        let mut codes = self.codes.borrow_mut();
        x.write_codes(&mut codes);
        let words = |columns: Range<usize>| columns.start / BLOCK * BLOCK_WORDS..columns.end / BLOCK * BLOCK_WORDS;
        self.join(&mut codes, x.tokens(), |rank| words(columns_of(rank)))?;
        x.read_codes(columns, &codes);
        Ok(())
    }

    fn join(&self, x: &mut Vec<f32>, tokens: usize, columns_of: impl Fn(usize) -> Range<usize>) -> Result<()> {
        let Some(exchange) = &self.exchange else {
            return Ok(());
        };
        let (ranks, own) = (self.rank.ranks(), self.rank.number());
        let width = columns_of(ranks - 1).end;
        let mut all = self.all.borrow_mut();
        all.resize(tokens * width, 0.0);
        exchange.gather(x, columns_of(own).start * tokens, &mut all).map_err(left)?;
        x.resize(tokens * width, 0.0);
        for rank in 0..ranks {
            let columns = columns_of(rank);
            let of_rank = &all[columns.start * tokens..columns.end * tokens];
            if columns.is_empty() {
                continue;
            }
            for (row, part) in x.chunks_exact_mut(width).zip(of_rank.chunks_exact(columns.len())) {
                row[columns.clone()].copy_from_slice(part);
            }
        }
        Ok(())
    }

    /// Fills `x`, `[rows, columns]`, of which this rank has filled the rows that are its own. `owner` tells a row's rank.
    pub fn share_rows(&self, x: &mut [f32], columns: usize, owner: impl Fn(usize) -> usize) -> Result<()> {
        let Some(exchange) = &self.exchange else {
            return Ok(());
        };
        let rows = x.len() / columns;
        let mut all = self.all.borrow_mut();
        let mut own = Vec::new();
        for row in (0..rows).filter(|row| owner(*row) == self.rank.number()) {
            own.extend_from_slice(&x[row * columns..(row + 1) * columns]);
        }
        let before = (0..rows).filter(|row| owner(*row) < self.rank.number()).count();
        all.resize(x.len(), 0.0);
        exchange.gather(&own, before * columns, &mut all).map_err(left)?;
        let mut parts = all.chunks_exact(columns);
        for rank in 0..self.rank.ranks() {
            for (row, part) in (0..rows).filter(|row| owner(*row) == rank).zip(&mut parts) {
                x[row * columns..(row + 1) * columns].copy_from_slice(part);
            }
        }
        Ok(())
    }

    /// The rank that has row `row` of a matrix of `rows`.
    pub fn owner(&self, row: usize, rows: usize) -> usize {
        (0..self.rank.ranks()).find(|rank| self.rank.rows_of(*rank, rows).contains(&row)).unwrap_or(0)
    }

    /// The result, where every rank has come to one; else this rank's error, or one of the same kind as another rank's.
    pub fn agree<T>(&self, own: Result<T>) -> Result<T> {
        let Some(exchange) = &self.exchange else {
            return own;
        };
        match own {
            Ok(value) => exchange.gather(&[], 0, &mut []).map_err(left).map(|()| value),
            Err(error) => {
                exchange.leave(error.number());
                Err(error)
            }
        }
    }

    /// The smallest of the ranks' numbers, which are small themselves.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    pub fn least(&self, own: usize) -> Result<usize> {
        let Some(exchange) = &self.exchange else {
            return Ok(own);
        };
        let mut all = [0.0; MAX_RANKS];
        let all = &mut all[..self.rank.ranks()];
        exchange.gather(&[own as f32], self.rank.number(), all).map_err(left)?;
        Ok(all.iter().map(|number| *number as usize).min().unwrap_or(own))
    }

    /// Lets no other rank wait for one that has failed.
    pub fn leave<T>(&self, result: Result<T>) -> Result<T> {
        if let (Some(exchange), Err(error)) = (&self.exchange, &result) {
            exchange.leave(error.number());
        }
        result
    }
}

fn left(code: u32) -> Error {
    Error::of_another_rank(code)
}

/// Numbers of the largest exchange of a model in passes of `rows` tokens, of which `logit_rows` at a time get logits.
pub fn exchanged_floats(config: &Config, rows: usize, logit_rows: usize) -> usize {
    let widths = config.layers.iter().map(|layer| match layer.feed_forward {
        FeedForward::Dense(inner) => inner,
        FeedForward::Experts(Experts { inner, shared_inner, .. }) => inner.max(shared_inner),
    });
    let widest = widths.chain([config.hidden, config.heads * config.head_dim]).max().unwrap_or(0);
    rows.saturating_mul(widest).max(logit_rows.saturating_mul(config.vocabulary))
}
