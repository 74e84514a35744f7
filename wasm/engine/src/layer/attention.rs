//! Softmax attention over the pages of a sequence: full, or a sliding window with kept tokens
//! (`gpu-backend/docs/model.md#5-softmax-attention`).
//!
//! What a query sees and the order in which it adds depend on absolute positions alone, so a prompt may be cut into steps anywhere and decode
//! continues prefill bit for bit. Keys meet the queries of a whole group of heads four tokens at a time, in int8 where they are stored so.

mod queries;
mod recall;
mod scores;
mod values;

pub use queries::Queries;
pub use recall::Recall;

use super::sight::Sight;
use crate::config::{Config, Softmax};
use crate::error::Result;
use crate::kernel::{Active, Kernel};
use crate::memory::Allowance;
use crate::state::{KeyValues, PAGE_TOKENS};
use queries::Loaded;
use recall::Tile;
use scores::{PANELS, page_scores};
use values::{Values, add_values};

/// Queries handled together, times the heads of a group: keys and values are unpacked once for all of them.
const QUERY_TILE: usize = 8;

/// Buffers that live as long as the engine.
#[derive(Debug, Default)]
pub struct Scratch {
    queries: Loaded,
    pages: Vec<usize>,
    scores: Vec<f32>,
    /// Scores of kept tokens, `[rows, 32]`.
    kept: Vec<f32>,
}

impl Scratch {
    /// Takes the memory of queries before `position`. Grows by powers of two, so that it seldom has to.
    pub fn reserve(&mut self, config: &Config, position: usize, allowance: &mut Allowance) -> Result<()> {
        let rows = QUERY_TILE * (config.heads / config.kv_heads);
        let seen = config.mixing_layers().filter_map(|layer| layer.mixer.softmax).map(|softmax| match softmax {
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
        }
        allowance.reserve(&mut self.pages, pages)?;
        allowance.reserve(&mut self.scores, rows.saturating_mul(pages.saturating_mul(PAGE_TOKENS).saturating_add(slots)))
    }
}

/// `out` is as the queries, `[tokens, heads, head_dim]`, the first token at `position`; keys and values of all of them are in `key_values`.
/// With `recall`, salient tokens are met beside those of the window.
///
/// A page's keys are walked head by head for as many KV heads together as the buffers hold, all of them in decode: they lie side by side, and
/// a processor foresees long walks through memory better than many short ones.
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
        let together = QUERY_TILE / count;
        for first_head in (0..shape.heads).step_by(together) {
            let kv_heads = first_head..(first_head + together).min(shape.heads);
            let tiles = kv_heads.map(|kv_head| Tile {
                first,
                token,
                count,
                kv_head,
                heads,
                group,
                first_row: (kv_head - first_head) * count * group,
                window,
                span,
            });
            meet_keys(tiles.clone(), key_values, queries, scratch);
            for tile in tiles.clone() {
                if let Some(recall) = &recall {
                    recall.meet_kept(tile, key_values, sight.keep, scratch);
                }
                for index in 0..tile.rows() {
                    let scores = &mut scratch.scores[tile.scores_of(index)][..window];
                    mask(scores, &scratch.pages, sight, first + index / group);
                    out[tile.row(index) * dim..][..dim].fill(0.0);
                }
                match &mut recall {
                    Some(recall) => recall.meet_salient(tile, key_values, out, scratch),
                    None => (0..tile.rows()).for_each(|index| _ = attention_weights(&mut scratch.scores[tile.scores_of(index)])),
                }
            }
            add_pages(tiles, key_values, queries.are_spikes(), out, scratch);
        }
    }
}

/// The scores of the window's tokens for the tiles of some KV heads, unmasked.
fn meet_keys(tiles: impl Iterator<Item = Tile> + Clone, key_values: &KeyValues, queries: Queries<'_>, scratch: &mut Scratch) {
    let (shape, Scratch { queries: loaded, pages, scores, .. }) = (key_values.shape(), scratch);
    loaded.clear();
    let mut size = 0;
    for tile in tiles.clone() {
        loaded.add(shape, tile.rows(), queries, |index| tile.row(index));
        size += tile.rows() * tile.span;
    }
    scores.resize(size, 0.0);
    for (ordinal, page) in pages.iter().enumerate() {
        let Some(page) = key_values.page(*page) else {
            continue;
        };
        for tile in tiles.clone() {
            let rows = tile.first_row..tile.first_row + tile.rows();
            let scores = &mut scores[rows.start * tile.span + ordinal * PAGE_TOKENS..];
            page_scores(shape, page, tile.kv_head, 0..PANELS, loaded, rows, scores, tile.span);
        }
    }
}

/// Adds the values of the window's tokens, times their weights; finely where what is made of them fires, as one count more or less shows.
fn add_pages(tiles: impl Iterator<Item = Tile> + Clone, key_values: &KeyValues, fine: bool, out: &mut [f32], scratch: &mut Scratch) {
    let (shape, Scratch { pages, scores, .. }) = (key_values.shape(), scratch);
    for (ordinal, page) in pages.iter().enumerate() {
        let Some(page) = key_values.page(*page) else {
            continue;
        };
        for tile in tiles.clone() {
            let weights = &scores[tile.first_row * tile.span + ordinal * PAGE_TOKENS..];
            let values = Values::of_page(page, shape, tile.kv_head);
            add_values(values, shape.head_dim, weights, tile.span, tile.rows(), out, |index| tile.row(index), fine);
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

/// The softmax, under a name of its own in a profile.
#[inline(never)]
fn attention_weights(scores: &mut [f32]) -> (f32, f32) {
    Active::softmax(scores)
}
