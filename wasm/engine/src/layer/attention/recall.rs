//! What an `evicted` mixer's queries meet beside the window (`gpu-backend/docs/evicted-tokens.md`, steps 1, 6 and 7): salient tokens, which
//! change from token to token, and kept ones, for which a query does not stand further away than a cap.

use super::queries::Queries;
use super::scores::{PANELS, page_scores};
use super::values::{Values, add_values};
use super::{Scratch, attention_weights};
use crate::state::{KeyValues, Leaving, PAGE_TOKENS, PANEL_TOKENS, Salient};
use core::ops::Range;

/// See the module. Lists are of the tokens of one sequence in a pass.
#[derive(Debug)]
pub struct Recall<'a> {
    /// Room must have been made for the tokens that leave.
    pub salient: &'a mut Salient,
    /// Tokens that have left before the query at position 0, 1 and on: `position + 1 - offset`, and none before.
    pub offset: usize,
    /// Keys that a window sees.
    pub width: usize,
    /// The greatest position at which kept tokens meet a query.
    pub sink_cap: usize,
    /// Queries rotated to their position, but at most the cap.
    pub far: Queries<'a>,
    /// Queries rotated to the window's width.
    pub apart: Queries<'a>,
    /// Keys of the tokens that leave after each query, without rotation: `[tokens, KV heads, head_dim]`.
    pub leaving_keys: &'a [f32],
    /// Their salience, `[tokens, KV heads]`.
    pub salience: &'a [f32],
    /// Becomes the natural log of the sum of exponentials, `[tokens, heads]`.
    pub log_normalisers: &'a mut [f32],
}

/// Queries of one KV head that are handled together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tile {
    /// Position of the first.
    pub first: usize,
    /// Its number among the tokens.
    pub token: usize,
    pub count: usize,
    pub kv_head: usize,
    pub heads: usize,
    pub group: usize,
    /// Where its rows begin among those whose scores are held together.
    pub first_row: usize,
    /// Scores of a row that belong to the window's pages.
    pub window: usize,
    /// All scores of a row.
    pub span: usize,
}

impl Tile {
    /// A row for each token and head of the group.
    pub fn rows(self) -> usize {
        self.count * self.group
    }

    /// Where the scores of row `index` of the tile are.
    pub fn scores_of(self, index: usize) -> Range<usize> {
        let at = (self.first_row + index) * self.span;
        at..at + self.span
    }

    /// The row among all tokens' heads of row `index` of the tile.
    pub fn row(self, index: usize) -> usize {
        (self.token + index / self.group) * self.heads + self.kv_head * self.group + index % self.group
    }
}

impl Recall<'_> {
    fn evicted_before(&self, position: usize) -> usize {
        (position + 1).saturating_sub(self.offset)
    }

    /// Slots that a query at `position` meets, in whole pages.
    pub(super) fn slots(&self, position: usize) -> usize {
        self.salient.filled_after(self.evicted_before(position)).next_multiple_of(PAGE_TOKENS)
    }

    /// Puts the scores of kept tokens in place where a query stands beyond the cap.
    pub(super) fn meet_kept(&self, tile: Tile, key_values: &KeyValues, keep: usize, scratch: &mut Scratch) {
        if tile.first + tile.count - 1 <= self.sink_cap || keep == 0 {
            return;
        }
        let (shape, rows) = (key_values.shape(), tile.rows());
        scratch.queries.clear();
        scratch.queries.add(shape, rows, self.far, |index| tile.row(index));
        scratch.kept.resize(rows * PAGE_TOKENS, 0.0);
        for (ordinal, index) in scratch.pages.iter().enumerate().filter(|(_, index)| **index * PAGE_TOKENS < keep) {
            let Some(page) = key_values.page(*index) else {
                continue;
            };
            let slots = (keep - index * PAGE_TOKENS).min(PAGE_TOKENS);
            let panels = 0..slots.div_ceil(PANEL_TOKENS);
            page_scores(shape, page, tile.kv_head, panels, &scratch.queries, 0..rows, &mut scratch.kept, PAGE_TOKENS);
            for (index, kept) in scratch.kept.chunks_exact(PAGE_TOKENS).enumerate() {
                let scores = &mut scratch.scores[tile.scores_of(index)];
                scores[ordinal * PAGE_TOKENS..][..slots].copy_from_slice(&kept[..slots]);
            }
        }
    }

    /// Token by token: the scores of salient tokens, the softmax over these and the window's, the salient tokens' values, and then the token
    /// that leaves takes its slot. What values add up to begins with the salient ones.
    pub(super) fn meet_salient(&mut self, tile: Tile, key_values: &KeyValues, out: &mut [f32], scratch: &mut Scratch) {
        let shape = key_values.shape();
        let (dim, head) = (shape.head_dim, tile.kv_head);
        for token in 0..tile.count {
            let position = tile.first + token;
            let evicted = self.evicted_before(position);
            let filled = self.salient.filled_after(evicted);
            let (rows, pages) = (token * tile.group..(token + 1) * tile.group, filled.div_ceil(PAGE_TOKENS));
            if filled > 0 {
                scratch.queries.clear();
                scratch.queries.add(shape, tile.group, self.apart, |index| tile.row(rows.start + index));
            }
            for index in 0..pages {
                if let Some(page) = self.salient.page(index) {
                    let at = tile.scores_of(rows.start).start + tile.window + index * PAGE_TOKENS;
                    page_scores(shape, page, head, 0..PANELS, &scratch.queries, 0..tile.group, &mut scratch.scores[at..], tile.span);
                }
            }
            for row in rows {
                let scores = &mut scratch.scores[tile.scores_of(row)];
                scores[tile.window + filled..].fill(f32::NEG_INFINITY);
                let (largest, total) = attention_weights(scores);
                self.log_normalisers[tile.row(row)] = largest + libm::logf(total);
            }
            let first = token * tile.group;
            for index in 0..pages {
                let Some(page) = self.salient.page(index) else {
                    continue;
                };
                let weights = &scratch.scores[tile.scores_of(first).start + tile.window + index * PAGE_TOKENS..];
                let values = Values::of_page(page, shape, head);
                add_values(values, dim, weights, tile.span, tile.group, out, |index| tile.row(first + index), self.apart.are_spikes());
            }
            if position + 1 >= self.offset {
                self.place(tile, token, evicted, key_values);
            }
        }
    }

    /// The token that leaves after token `token` of the tile.
    fn place(&mut self, tile: Tile, token: usize, evicted: usize, key_values: &KeyValues) {
        let shape = key_values.shape();
        let (dim, head) = (shape.head_dim, tile.kv_head);
        let position = tile.first + token + 1 - self.width;
        let row = (tile.token + token) * shape.heads + head;
        let Some(page) = key_values.page(position / PAGE_TOKENS) else {
            return;
        };
        let leaving = Leaving { position, salience: self.salience[row], key: &self.leaving_keys[row * dim..(row + 1) * dim], page };
        self.salient.place(head, evicted, leaving);
    }
}
