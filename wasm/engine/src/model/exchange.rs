//! Where the ranks of one model meet: each has computed its rows, and all go on with everybody's. An engine that is alone has nothing to
//! exchange, and pays nothing.
//!
//! All ranks go through the same exchanges in the same order. A rank that cannot go on leaves, and then no other waits for it. Between handing
//! in and waiting a rank does what needs nothing of the others.

use crate::config::{Config, Experts, FeedForward, MAX_RANKS, Rank};
use crate::error::{Error, Result};
use crate::kernel::{Activations, BLOCK_WORDS};
use crate::layer::projection::compact;
use crate::math::add_scaled;
use crate::memory::Allowance;
use crate::weights::TensorType;
use crate::weights::matrix::PANEL_ROWS;
use crate::weights::tensor_type::BLOCK;
use core::cell::RefCell;
use core::ops::Range;

/// How one rank reaches the others: threads of a test, or worker threads over shared memory.
pub trait Exchange: core::fmt::Debug {
    /// Hands in a copy of this rank's numbers, which lie at `at` among those of all ranks together, and waits for nobody: [`Self::wait`] does, before
    /// the next exchange. Fails with the code that a rank has left with.
    fn hand_in(&self, own: &[f32], at: usize) -> core::result::Result<(), u32>;

    /// Waits until every rank has handed in. Fails as [`Self::hand_in`].
    fn wait(&self) -> core::result::Result<(), u32>;

    /// Fills `target` with the numbers that have been handed in, from `from` on among those of all ranks: from [`Self::wait`] until this rank
    /// hands in again.
    fn read(&self, from: usize, target: &mut [f32]);

    /// Fails every exchange that another rank waits in or comes to, until the ranks are set back.
    fn leave(&self, code: u32);
}

/// Fewest tokens of a pass of which every rank norms and rounds its share for all: for fewer, another exchange costs more than it saves.
const LEAST_SHARED_TOKENS: usize = 16;

/// One of the ranks, with its way to the others.
#[derive(Debug, Default)]
pub struct Ranks {
    rank: Rank,
    exchange: Option<Box<dyn Exchange>>,
    /// Of each rank, the rows of the query's projection that it computes, and those that its heads need.
    queries: Vec<Range<usize>>,
    heads: Vec<Range<usize>>,
    /// What another rank has handed in.
    part: RefCell<Vec<f32>>,
    /// This rank's codes or queries on their way out, and everybody's.
    own: RefCell<Vec<f32>>,
}

impl Ranks {
    /// One of several that compute a model of this config.
    pub fn new(rank: Rank, config: &Config, exchange: Box<dyn Exchange>) -> Self {
        let heads = (0..rank.ranks()).map(|rank_of| rank.heads_of(rank_of, config.kv_heads, config.heads * config.head_dim));
        Self {
            rank,
            exchange: Some(exchange),
            queries: rank.query_rows(config),
            heads: heads.collect(),
            part: RefCell::default(),
            own: RefCell::default(),
        }
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

    /// Takes the memory of exchanging so many numbers.
    pub fn reserve(&self, floats: usize, allowance: &mut Allowance) -> Result<()> {
        if self.exchange.is_none() {
            return Ok(());
        }
        let words = floats.div_ceil(BLOCK) * BLOCK_WORDS;
        allowance.reserve(&mut self.own.borrow_mut(), if self.lends() { floats.max(words) } else { words })?;
        let mut part = self.part.borrow_mut();
        allowance.reserve(&mut part, floats)?;
        part.resize(floats, 0.0);
        Ok(())
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

    /// Adds such a product to `sum`, `[tokens, rows]`. `y` is then this rank's part without padding.
    pub fn add_product(&self, y: &mut Vec<f32>, sum: &mut [f32], tokens: usize, rows: usize) -> Result<()> {
        let Some(exchange) = &self.exchange else {
            add_columns(sum, rows, 0..rows, y, rows.next_multiple_of(PANEL_ROWS));
            return Ok(());
        };
        let own = self.rows(rows);
        compact(y, tokens, own.len());
        exchange.hand_in(y, own.start * tokens).map_err(left)?;
        add_columns(sum, rows, own.clone(), y, own.len());
        exchange.wait().map_err(left)?;
        let of_rank = |rank| self.rank.rows_of(rank, rows);
        self.each_other(tokens, of_rank, |columns, part| add_columns(sum, rows, columns.clone(), part, columns.len()));
        Ok(())
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
        exchange.hand_in(y, own.start * tokens).map_err(left)?;
        exchange.wait().map_err(left)?;
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
        self.exchange.is_some() && kind.takes_codes() && (0..self.rank.ranks()).all(whole)
    }

    /// `x`, `[tokens, own columns]`, becomes the codes of `[tokens, columns]`. Only where [`Self::joins_codes`] says so.
    pub fn join_codes(&self, x: &mut Activations, columns: usize, columns_of: impl Fn(usize) -> Range<usize>) -> Result<()> {
        let mut codes = self.own.borrow_mut();
        x.write_codes(&mut codes);
        let words = |columns: Range<usize>| columns.start / BLOCK * BLOCK_WORDS..columns.end / BLOCK * BLOCK_WORDS;
        let tokens = x.tokens();
        self.join(&mut codes, tokens, |rank| words(columns_of(rank)))?;
        x.read_codes((tokens, columns), &codes);
        Ok(())
    }

    /// Whether of rows that so many tokens have in common to all ranks each norms and rounds its share, where only codes of them are wanted.
    pub fn shares_tokens(&self, tokens: usize, columns: usize) -> bool {
        self.exchange.is_some() && !self.rank.is_whole() && tokens >= LEAST_SHARED_TOKENS && columns.is_multiple_of(BLOCK)
    }

    /// This rank's of `tokens`.
    pub fn tokens(&self, tokens: usize) -> Range<usize> {
        self.rank.rows_of(self.rank.number(), tokens)
    }

    /// `x`, the rows of this rank's [`Self::tokens`], becomes the codes of all of them. Only where [`Self::shares_tokens`] says so.
    pub fn join_tokens(&self, x: &mut Activations, tokens: usize) -> Result<()> {
        let mut codes = self.own.borrow_mut();
        x.write_codes(&mut codes);
        self.join(&mut codes, 1, |rank| {
            let (own, words) = (self.rank.rows_of(rank, tokens), x.blocks() * BLOCK_WORDS);
            own.start * words..own.end * words
        })?;
        x.read_codes((tokens, x.columns()), &codes);
        Ok(())
    }

    fn join(&self, x: &mut Vec<f32>, tokens: usize, columns_of: impl Fn(usize) -> Range<usize>) -> Result<()> {
        let Some(exchange) = &self.exchange else {
            return Ok(());
        };
        let (width, own) = (columns_of(self.rank.ranks() - 1).end, columns_of(self.rank.number()));
        exchange.hand_in(x, own.start * tokens).map_err(left)?;
        x.resize(tokens * width, 0.0);
        // From the last on, so that none is written over before it has moved.
        for token in (0..tokens).rev() {
            x.copy_within(token * own.len()..(token + 1) * own.len(), token * width + own.start);
        }
        exchange.wait().map_err(left)?;
        self.each_other(tokens, columns_of, |columns, part| {
            for (row, part) in x.chunks_exact_mut(width).zip(part.chunks_exact(columns.len())) {
                row[columns.clone()].copy_from_slice(part);
            }
        });
        Ok(())
    }

    /// What every other rank has handed in: its columns, and `[tokens, columns]` of them.
    fn each_other(&self, tokens: usize, columns_of: impl Fn(usize) -> Range<usize>, mut take: impl FnMut(Range<usize>, &[f32])) {
        let Some(exchange) = &self.exchange else {
            return;
        };
        let mut buffer = self.part.borrow_mut();
        for rank in (0..self.rank.ranks()).filter(|rank| *rank != self.rank.number()) {
            let columns = columns_of(rank);
            if columns.is_empty() {
                continue;
            }
            let part = room(&mut buffer, tokens * columns.len());
            exchange.read(columns.start * tokens, part);
            take(columns, part);
        }
    }

    /// Whether some rank computes queries of another's heads (`config/rank.rs`).
    fn lends(&self) -> bool {
        self.queries != self.heads
    }

    /// Columns of queries that a rank computes for others.
    fn lent(&self, rank: usize) -> [Range<usize>; 2] {
        let (computed, heads) = (&self.queries[rank], &self.heads[rank]);
        [computed.start..computed.end.min(heads.start).max(computed.start), computed.start.max(heads.end).min(computed.end)..computed.end]
    }

    /// Hands in what other ranks' heads need of `query`, `[tokens, rows of the projection]`, where any does; [`Self::take_queries`] waits.
    pub fn hand_in_queries(&self, query: &[f32], tokens: usize) -> Result<()> {
        let Some(exchange) = self.exchange.as_ref().filter(|_| self.lends()) else {
            return Ok(());
        };
        let (number, computed) = (self.rank.number(), &self.queries[self.rank.number()]);
        let mut own = self.own.borrow_mut();
        own.clear();
        for row in query.chunks_exact(computed.len().max(1)) {
            for lent in self.lent(number) {
                own.extend_from_slice(&row[lent.start - computed.start..lent.end - computed.start]);
            }
        }
        let before: usize = (0..number).flat_map(|rank| self.lent(rank)).map(|lent| lent.len()).sum();
        exchange.hand_in(&own, before * tokens).map_err(left)
    }

    /// `query` becomes `[tokens, own heads, head_dim]`.
    pub fn take_queries(&self, query: &mut Vec<f32>, tokens: usize) -> Result<()> {
        let Some(exchange) = self.exchange.as_ref().filter(|_| self.lends()) else {
            return Ok(());
        };
        let (number, mut whole, mut buffer) = (self.rank.number(), self.own.borrow_mut(), self.part.borrow_mut());
        let (computed, needed) = (&self.queries[number], &self.heads[number]);
        whole.resize(tokens * needed.len(), 0.0);
        // Of `rows`, of which each begins with column `first`; the last may be short.
        let mut put = |columns: Range<usize>, rows: &[f32], width: usize, first: usize| {
            if columns.is_empty() {
                return;
            }
            for (target, row) in whole.chunks_exact_mut(needed.len()).zip(rows.chunks(width)) {
                let to = columns.start - needed.start..columns.end - needed.start;
                target[to].copy_from_slice(&row[columns.start - first..columns.end - first]);
            }
        };
        put(common(computed, needed), query, computed.len(), computed.start);
        exchange.wait().map_err(left)?;
        let mut from = 0;
        for rank in 0..self.rank.ranks() {
            let [first, second] = self.lent(rank);
            let width = first.len() + second.len();
            let wanted = [&first, &second].map(|lent| common(lent, needed));
            if rank != number && wanted.iter().any(|range| !range.is_empty()) {
                let part = room(&mut buffer, tokens * width);
                exchange.read(from, part);
                let [of_first, of_second] = wanted;
                put(of_first, part, width, first.start);
                // The second lies behind the first.
                put(of_second, &part[first.len()..], width, second.start);
            }
            from += tokens * width;
        }
        query.resize(whole.len(), 0.0);
        query.copy_from_slice(&whole);
        Ok(())
    }

    /// Fills `x`, `[rows, columns]`, of which this rank has filled the rows that are its own. `owner` tells a row's rank.
    pub fn share_rows(&self, x: &mut [f32], columns: usize, owner: impl Fn(usize) -> usize) -> Result<()> {
        let Some(exchange) = &self.exchange else {
            return Ok(());
        };
        let rows = x.len() / columns;
        let mut own = Vec::new();
        for row in (0..rows).filter(|row| owner(*row) == self.rank.number()) {
            own.extend_from_slice(&x[row * columns..(row + 1) * columns]);
        }
        let before = (0..rows).filter(|row| owner(*row) < self.rank.number()).count();
        exchange.hand_in(&own, before * columns).map_err(left)?;
        exchange.wait().map_err(left)?;
        let mut next = 0;
        for rank in 0..self.rank.ranks() {
            for row in (0..rows).filter(|row| owner(*row) == rank) {
                exchange.read(next, &mut x[row * columns..(row + 1) * columns]);
                next += columns;
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
            Ok(value) => {
                exchange.hand_in(&[], 0).map_err(left)?;
                exchange.wait().map_err(left)?;
                Ok(value)
            }
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
        exchange.hand_in(&[own as f32], self.rank.number()).map_err(left)?;
        exchange.wait().map_err(left)?;
        exchange.read(0, all);
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

/// So many numbers of a buffer that has grown to as many.
fn room(buffer: &mut Vec<f32>, floats: usize) -> &mut [f32] {
    if buffer.len() < floats {
        buffer.resize(floats, 0.0);
    }
    &mut buffer[..floats]
}

/// What is in both.
fn common(one: &Range<usize>, other: &Range<usize>) -> Range<usize> {
    let start = one.start.max(other.start);
    start..one.end.min(other.end).max(start)
}

/// Adds `part`, rows of so many numbers of which the first are meant, to columns of `sum`, whose rows have `width`.
fn add_columns(sum: &mut [f32], width: usize, columns: Range<usize>, part: &[f32], stride: usize) {
    for (sum, part) in sum.chunks_exact_mut(width).zip(part.chunks_exact(stride.max(1))) {
        add_scaled(&mut sum[columns.clone()], 1.0, &part[..columns.len()]);
    }
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
