//! Softmax attention over the pages of a sequence: full, or a sliding window with kept tokens
//! (`gpu-backend/docs/model.md#5-softmax-attention`).
//!
//! What a query sees and the order in which it adds depend on absolute positions alone, so a prompt may be cut into steps anywhere and decode
//! continues prefill bit for bit. Keys meet the queries of a whole group of heads four tokens at a time, in int8 where they are stored so.

mod queries;
mod recall;
mod scores;

pub use queries::Queries;
pub use recall::Recall;

use super::sight::Sight;
use crate::config::{Config, Softmax};
use crate::error::Result;
use crate::kernel::{Active, Kernel, MIX_COLUMNS};
use crate::math::softmax;
use crate::memory::Allowance;
use crate::state::{KeyValues, PAGE_TOKENS};
use queries::Loaded;
use recall::Tile;
use scores::{PANELS, page_scores};

/// Queries handled together, times the heads of a group: keys and values are unpacked once for all of them.
const QUERY_TILE: usize = 8;

/// Buffers that live as long as the engine.
#[derive(Debug, Default)]
pub struct Scratch {
    queries: Loaded,
    pages: Vec<usize>,
    scores: Vec<f32>,
    values: Vec<f32>,
    /// Scores of kept tokens, `[rows, 32]`.
    kept: Vec<f32>,
    /// Values of a KV head's salient tokens, `[slots, head_dim]`.
    recalled: Vec<f32>,
}

impl Scratch {
    /// Takes the memory of queries before `position`. Grows by powers of two, so that it seldom has to.
    pub fn reserve(&mut self, config: &Config, position: usize, allowance: &mut Allowance) -> Result<()> {
        let rows = QUERY_TILE * (config.heads / config.kv_heads);
        let seen = config.layers.iter().filter_map(|layer| layer.mixer.softmax).map(|softmax| match softmax {
            Softmax::Full => position,
            // What a tile of queries sees lies across one page more than it fills, at either end.
            Softmax::Window(width) => position.min((width + QUERY_TILE + config.kept()).saturating_add(3 * PAGE_TOKENS)),
        });
        let Some(seen) = seen.max() else {
            return Ok(());
        };
        let dim = config.head_dim;
        let slots = config.evicted().map_or(0, |evicted| evicted.salient.min(position).next_multiple_of(PAGE_TOKENS));
        let pages = seen.div_ceil(PAGE_TOKENS).next_power_of_two();
        self.queries.reserve(rows, dim, allowance)?;
        if config.evicted().is_some() {
            allowance.reserve(&mut self.kept, rows * PAGE_TOKENS)?;
            allowance.reserve(&mut self.recalled, slots.saturating_mul(dim))?;
        }
        allowance.reserve(&mut self.values, PAGE_TOKENS * dim)?;
        allowance.reserve(&mut self.pages, pages)?;
        allowance.reserve(&mut self.scores, rows.saturating_mul(pages.saturating_mul(PAGE_TOKENS).saturating_add(slots)))
    }
}

/// `out` is as the queries, `[tokens, heads, head_dim]`, the first token at `position`; keys and values of all of them are in `key_values`.
/// With `recall`, salient tokens are met beside those of the window.
#[allow(clippy::too_many_arguments)]
pub fn attend(
    key_values: &KeyValues,
    sight: Sight,
    heads: usize,
    position: usize,
    queries: Queries<'_>,
    mut recall: Option<Recall<'_>>,
    out: &mut [f32],
    scratch: &mut Scratch,
) {
    let shape = key_values.shape();
    let (dim, group) = (shape.head_dim, heads / shape.heads);
    let width = heads * dim;
    let tokens = out.len() / width;
    for token in (0..tokens).step_by(QUERY_TILE) {
        let count = QUERY_TILE.min(tokens - token);
        let first = position + token;
        pages_seen(key_values, sight, first, count, &mut scratch.pages);
        let window = scratch.pages.len() * PAGE_TOKENS;
        let span = window + recall.as_ref().map_or(0, |recall| recall.slots(first + count - 1));
        for kv_head in 0..shape.heads {
            let tile = Tile { first, token, count, kv_head, heads, group, window, span };
            scratch.queries.load(shape, count * group, queries, |index| tile.row(index));
            scratch.scores.resize(count * group * span, 0.0);
            for (ordinal, page) in scratch.pages.iter().enumerate() {
                if let Some(page) = key_values.page(*page) {
                    page_scores(shape, page, kv_head, 0..PANELS, &scratch.queries, &mut scratch.scores[ordinal * PAGE_TOKENS..], span);
                }
            }
            if let Some(recall) = &recall {
                recall.meet_kept(tile, key_values, sight.keep, scratch);
            }
            for index in 0..count * group {
                let scores = &mut scratch.scores[index * span..index * span + window];
                mask(scores, &scratch.pages, sight, first + index / group);
                out[tile.row(index) * dim..][..dim].fill(0.0);
            }
            match &mut recall {
                Some(recall) => recall.meet_salient(tile, key_values, out, scratch),
                None => scratch.scores.chunks_exact_mut(span).for_each(|scores| _ = attention_weights(scores)),
            }
            scratch.values.resize(PAGE_TOKENS * dim, 0.0);
            for ordinal in 0..scratch.pages.len() {
                let Some(page) = key_values.page(scratch.pages[ordinal]) else {
                    continue;
                };
                page.values(shape, kv_head, 0, &mut scratch.values);
                let weights = &scratch.scores[ordinal * PAGE_TOKENS..];
                add_values(weights, span, count * group, &scratch.values, dim, out, |index| tile.row(index));
            }
        }
    }
}

/// The pages that some query of the tile sees, in order.
fn pages_seen(key_values: &KeyValues, sight: Sight, first: usize, count: usize, pages: &mut Vec<usize>) {
    let (start, _) = sight.span(first);
    let (_, end) = sight.span(first + count - 1);
    pages.clear();
    // The kept ones, then those of the window: how far into a text they lie costs nothing.
    let (kept, first_page) = (sight.keep.div_ceil(PAGE_TOKENS), start / PAGE_TOKENS);
    let held = (0..kept.min(first_page)).chain(first_page..=end / PAGE_TOKENS);
    pages.extend(held.filter(|page| key_values.page(*page).is_some()));
}

/// Minus infinity wherever the query at `position` does not see.
fn mask(scores: &mut [f32], pages: &[usize], sight: Sight, position: usize) {
    let span = sight.span(position);
    for (scores, page) in scores.chunks_exact_mut(PAGE_TOKENS).zip(pages) {
        let first_key = page * PAGE_TOKENS;
        if sight.sees_whole_page(span, first_key) {
            continue;
        }
        for (slot, score) in scores.iter_mut().enumerate() {
            if !sight.sees(span, first_key + slot) {
                *score = f32::NEG_INFINITY;
            }
        }
    }
}

/// [`softmax`], under a name of its own in a profile.
#[inline(never)]
fn attention_weights(scores: &mut [f32]) -> (f32, f32) {
    softmax(scores)
}

/// `out += weights * values` for the rows of a tile, token by token: `values` is `[tokens, head_dim]`, row `r`'s weights begin at
/// `r * stride`, and its output is `head_dim` wide from `row_of(r) * head_dim` on.
#[inline(never)]
fn add_values(weights: &[f32], stride: usize, rows: usize, values: &[f32], dim: usize, out: &mut [f32], row_of: impl Fn(usize) -> usize) {
    let mut row = 0;
    while row < rows {
        let (weights, row_of) = (&weights[row * stride..], |r: usize| row_of(row + r));
        row += match rows - row {
            1 => add_rows::<1>(weights, stride, values, dim, out, row_of),
            2 => add_rows::<2>(weights, stride, values, dim, out, row_of),
            3 => add_rows::<3>(weights, stride, values, dim, out, row_of),
            _ => add_rows::<4>(weights, stride, values, dim, out, row_of),
        }
    }
}

/// So many rows, which are returned.
#[inline(always)]
fn add_rows<const R: usize>(
    weights: &[f32],
    stride: usize,
    values: &[f32],
    dim: usize,
    out: &mut [f32],
    row_of: impl Fn(usize) -> usize,
) -> usize {
    let starts: [usize; R] = core::array::from_fn(|r| row_of(r) * dim);
    let whole = dim / MIX_COLUMNS * MIX_COLUMNS;
    for column in (0..whole).step_by(MIX_COLUMNS) {
        let mut sums: [[f32; MIX_COLUMNS]; R] = core::array::from_fn(|r| {
            let at = starts[r] + column;
            core::array::from_fn(|c| out[at + c])
        });
        Active::mix::<R>(weights, stride, values, dim, column, &mut sums);
        for (start, sums) in starts.iter().zip(&sums) {
            out[start + column..start + column + MIX_COLUMNS].copy_from_slice(sums);
        }
    }
    for column in whole..dim {
        for (r, start) in starts.iter().enumerate() {
            for (token, values) in values.chunks_exact(dim).enumerate() {
                out[start + column] += weights[r * stride + token] * values[column];
            }
        }
    }
    R
}
