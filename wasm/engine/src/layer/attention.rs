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
                None => scratch.scores.chunks_exact_mut(span).for_each(|scores| _ = softmax(scores)),
            }
            scratch.values.resize(PAGE_TOKENS * dim, 0.0);
            for ordinal in 0..scratch.pages.len() {
                let Some(page) = key_values.page(scratch.pages[ordinal]) else {
                    continue;
                };
                page.values(shape, kv_head, 0, &mut scratch.values);
                for index in 0..count * group {
                    let at = index * span + ordinal * PAGE_TOKENS;
                    add_values(&scratch.scores[at..at + PAGE_TOKENS], &scratch.values, &mut out[tile.row(index) * dim..][..dim]);
                }
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

/// `out += weights * values`, token by token, eight at a time in registers.
#[inline(always)]
fn add_values(weights: &[f32], values: &[f32], out: &mut [f32]) {
    let dim = out.len();
    for (weights, values) in weights.chunks_exact(8).zip(values.chunks_exact(8 * dim)) {
        if weights.iter().all(|weight| *weight == 0.0) {
            continue;
        }
        let (v0, rest) = values.split_at(dim);
        let (v1, rest) = rest.split_at(dim);
        let (v2, rest) = rest.split_at(dim);
        let (v3, rest) = rest.split_at(dim);
        let (v4, rest) = rest.split_at(dim);
        let (v5, rest) = rest.split_at(dim);
        let (v6, v7) = rest.split_at(dim);
        for d in 0..dim {
            let mut sum = out[d];
            sum += weights[0] * v0[d];
            sum += weights[1] * v1[d];
            sum += weights[2] * v2[d];
            sum += weights[3] * v3[d];
            sum += weights[4] * v4[d];
            sum += weights[5] * v5[d];
            sum += weights[6] * v6[d];
            sum += weights[7] * v7[d];
            out[d] = sum;
        }
    }
}
