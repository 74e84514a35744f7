//! Softmax attention over the pages of a sequence: full, or a sliding window with kept tokens (`model.md` 1.4, 2).
//!
//! What a query sees and the order in which it adds depend on absolute positions alone, so a prompt may be cut into steps anywhere and decode
//! continues prefill bit for bit. Keys meet the queries of a whole group of heads four tokens at a time, in int8 where they are stored so.

use super::sight::Sight;
use crate::config::{Config, Softmax};
use crate::error::Result;
use crate::kernel::{Activations, Active, Kernel, quantise};
use crate::math::exp;
use crate::memory::Allowance;
use crate::state::{KeyValues, KvShape, KvType, PAGE_TOKENS, PANEL_TOKENS, Page};

/// Queries handled together, times the heads of a group: keys and values are unpacked once for all of them.
const QUERY_TILE: usize = 8;
const LANES: usize = 8;

/// What meets the keys, `[tokens, heads, head_dim]`.
#[derive(Debug, Clone, Copy)]
pub enum Queries<'a> {
    /// As computed; int8 keys meet them rounded to int8.
    Values(&'a [f32]),
    /// What has fired, a row for each token and head from `first_row` on; int8 keys meet the very counts.
    Spikes {
        /// `[rows, head_dim]`
        spikes: &'a Activations,
        /// Of the first token's first head.
        first_row: usize,
    },
}

impl Queries<'_> {
    /// Token's head number `row`.
    fn values(&self, row: usize, dim: usize) -> &[f32] {
        match self {
            Self::Values(values) => &values[row * dim..(row + 1) * dim],
            Self::Spikes { spikes, first_row } => &spikes.values()[(first_row + row) * dim..(first_row + row + 1) * dim],
        }
    }

    /// Fills `codes` and returns their scale; false where they leave something out.
    fn codes(&self, row: usize, codes: &mut [i8]) -> (f32, bool) {
        match self {
            Self::Values(_) => (quantise(self.values(row, codes.len()), codes), true),
            Self::Spikes { spikes, first_row } => {
                let row = first_row + row;
                codes.copy_from_slice(&spikes.codes()[row * spikes.code_stride()..][..codes.len()]);
                (spikes.scales()[row * spikes.blocks()], !spikes.is_wide(row))
            }
        }
    }
}

/// Buffers that live as long as the engine.
#[derive(Debug, Default)]
pub struct Scratch {
    codes: Vec<i8>,
    scales: Vec<f32>,
    dense: Vec<f32>,
    /// Rows whose codes leave something out; their values are in `dense`.
    wide: Vec<usize>,
    pages: Vec<usize>,
    scores: Vec<f32>,
    values: Vec<f32>,
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
        let pages = seen.div_ceil(PAGE_TOKENS).next_power_of_two();
        let dim = config.head_dim;
        allowance.reserve(&mut self.codes, rows * dim.next_multiple_of(4))?;
        allowance.reserve(&mut self.scales, rows)?;
        allowance.reserve(&mut self.dense, rows * dim)?;
        allowance.reserve(&mut self.wide, rows)?;
        allowance.reserve(&mut self.values, PAGE_TOKENS * dim)?;
        allowance.reserve(&mut self.pages, pages)?;
        allowance.reserve(&mut self.scores, rows.saturating_mul(pages).saturating_mul(PAGE_TOKENS))
    }
}

/// `out` is as the queries, `[tokens, heads, head_dim]`, the first token at `position`; keys and values of all of them are in `key_values`.
pub fn attend(
    key_values: &KeyValues,
    sight: Sight,
    heads: usize,
    position: usize,
    queries: Queries<'_>,
    out: &mut [f32],
    scratch: &mut Scratch,
) {
    let shape = key_values.shape();
    let (dim, group) = (shape.head_dim, heads / shape.heads);
    let width = heads * dim;
    let tokens = out.len() / width;
    for tile in (0..tokens).step_by(QUERY_TILE) {
        let count = QUERY_TILE.min(tokens - tile);
        let first = position + tile;
        pages_seen(key_values, sight, first, count, &mut scratch.pages);
        for kv_head in 0..shape.heads {
            let row = |index: usize| (tile + index / group) * width + (kv_head * group + index % group) * dim;
            load_queries(shape, count * group, queries, |index| row(index) / dim, scratch);
            scores(key_values, kv_head, count * group, scratch);
            let span = scratch.pages.len() * PAGE_TOKENS;
            for index in 0..count * group {
                let scores = &mut scratch.scores[index * span..(index + 1) * span];
                mask(scores, &scratch.pages, sight, first + index / group);
                softmax(scores);
                out[row(index)..row(index) + dim].fill(0.0);
            }
            for ordinal in 0..scratch.pages.len() {
                let Some(page) = key_values.page(scratch.pages[ordinal]) else {
                    continue;
                };
                dense_values(shape, page, kv_head, &mut scratch.values);
                for index in 0..count * group {
                    let at = index * span + ordinal * PAGE_TOKENS;
                    add_values(&scratch.scores[at..at + PAGE_TOKENS], &scratch.values, &mut out[row(index)..row(index) + dim]);
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

/// Queries scaled by `1 / sqrt(head_dim)`: dense, or as codes with a scale.
fn load_queries(shape: KvShape, rows: usize, queries: Queries<'_>, row_of: impl Fn(usize) -> usize, scratch: &mut Scratch) {
    #[allow(clippy::cast_precision_loss)]
    let scale = 1.0 / (shape.head_dim as f32).sqrt();
    scratch.dense.clear();
    scratch.wide.clear();
    match shape.kind {
        KvType::F32 => {
            for row in 0..rows {
                scratch.dense.extend(queries.values(row_of(row), shape.head_dim).iter().map(|x| x * scale));
            }
        }
        KvType::Int8 => {
            let padded = shape.padded_dim();
            scratch.codes.clear();
            scratch.codes.resize(rows * padded, 0);
            scratch.scales.clear();
            for row in 0..rows {
                let codes = &mut scratch.codes[row * padded..row * padded + shape.head_dim];
                let (of_codes, whole) = queries.codes(row_of(row), codes);
                scratch.scales.push(of_codes * scale);
                if !whole {
                    scratch.wide.push(row);
                    scratch.dense.extend(queries.values(row_of(row), shape.head_dim).iter().map(|x| x * scale));
                }
            }
        }
    }
}

/// `[rows, pages * 32]`, unmasked.
fn scores(key_values: &KeyValues, kv_head: usize, rows: usize, scratch: &mut Scratch) {
    let shape = key_values.shape();
    let span = scratch.pages.len() * PAGE_TOKENS;
    scratch.scores.resize(rows * span, 0.0);
    for (ordinal, page) in scratch.pages.iter().enumerate() {
        match key_values.page(*page) {
            Some(Page::F32 { keys, .. }) => {
                let panel_size = PANEL_TOKENS * shape.head_dim;
                for panel in 0..PAGE_TOKENS / PANEL_TOKENS {
                    let at = (kv_head * (PAGE_TOKENS / PANEL_TOKENS) + panel) * panel_size;
                    for (row, query) in scratch.dense.chunks_exact(shape.head_dim).enumerate() {
                        let lanes = dense_scores(&keys[at..at + panel_size], query);
                        let to = row * span + ordinal * PAGE_TOKENS + panel * PANEL_TOKENS;
                        scratch.scores[to..to + PANEL_TOKENS].copy_from_slice(&lanes);
                    }
                }
            }
            Some(Page::Int8 { keys, key_scales, .. }) => {
                let panel_size = PANEL_TOKENS * shape.padded_dim();
                for panel in 0..PAGE_TOKENS / PANEL_TOKENS {
                    let at = (kv_head * (PAGE_TOKENS / PANEL_TOKENS) + panel) * panel_size;
                    let key_scales = &key_scales[kv_head * PAGE_TOKENS + panel * PANEL_TOKENS..][..PANEL_TOKENS];
                    let to = ordinal * PAGE_TOKENS + panel * PANEL_TOKENS;
                    code_scores(
                        &keys[at..at + panel_size],
                        key_scales,
                        rows,
                        shape.padded_dim(),
                        to,
                        span,
                        scratch_parts(&scratch.codes, &scratch.scales, &mut scratch.scores),
                    );
                    for (row, query) in scratch.wide.iter().zip(scratch.dense.chunks_exact(shape.head_dim)) {
                        let lanes = wide_scores(&keys[at..at + panel_size], key_scales, query);
                        scratch.scores[row * span + to..row * span + to + PANEL_TOKENS].copy_from_slice(&lanes);
                    }
                }
            }
            None => {}
        }
    }
}

struct CodeScratch<'a> {
    codes: &'a [i8],
    scales: &'a [f32],
    scores: &'a mut [f32],
}

fn scratch_parts<'a>(codes: &'a [i8], scales: &'a [f32], scores: &'a mut [f32]) -> CodeScratch<'a> {
    CodeScratch { codes, scales, scores }
}

/// One panel of int8 keys times all rows of queries.
fn code_scores(panel: &[i8], key_scales: &[f32], rows: usize, stride: usize, to: usize, span: usize, scratch: CodeScratch<'_>) {
    let mut put = |row: usize, sums: [i32; PANEL_TOKENS]| {
        for lane in 0..PANEL_TOKENS {
            #[allow(clippy::cast_precision_loss)]
            {
                scratch.scores[row * span + to + lane] = sums[lane] as f32 * (key_scales[lane] * scratch.scales[row]);
            }
        }
    };
    let mut row = 0;
    while row < rows {
        if rows - row >= 4 {
            for (t, sums) in Active::codes::<4>(panel, &scratch.codes[row * stride..], stride).into_iter().enumerate() {
                put(row + t, sums);
            }
            row += 4;
        } else {
            let [sums] = Active::codes::<1>(panel, &scratch.codes[row * stride..], stride);
            put(row, sums);
            row += 1;
        }
    }
}

/// Four tokens' int8 keys times a query that no codes hold.
fn wide_scores(panel: &[i8], key_scales: &[f32], query: &[f32]) -> [f32; PANEL_TOKENS] {
    core::array::from_fn(|lane| {
        let codes = panel.chunks_exact(4 * PANEL_TOKENS).flat_map(|four| &four[lane * 4..lane * 4 + 4]);
        let sum: f64 = codes.zip(query).map(|(code, x)| f64::from(*code) * f64::from(*x)).sum();
        #[allow(clippy::cast_possible_truncation)]
        {
            sum as f32 * key_scales[lane]
        }
    })
}

/// Four tokens' products with one query, in four partial sums by dimension modulo 4.
#[inline(always)]
fn dense_scores(panel: &[f32], query: &[f32]) -> [f32; PANEL_TOKENS] {
    let mut partial = [[0.0f32; PANEL_TOKENS]; 4];
    for (d, (keys, q)) in panel.chunks_exact(PANEL_TOKENS).zip(query).enumerate() {
        for lane in 0..PANEL_TOKENS {
            partial[d % 4][lane] += keys[lane] * q;
        }
    }
    core::array::from_fn(|lane| (partial[0][lane] + partial[1][lane]) + (partial[2][lane] + partial[3][lane]))
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

/// Scores of one query become weights that sum to 1; what is masked becomes 0.
fn softmax(scores: &mut [f32]) {
    let mut largest = [f32::NEG_INFINITY; LANES];
    for scores in scores.chunks_exact(LANES) {
        for lane in 0..LANES {
            largest[lane] = if scores[lane] > largest[lane] { scores[lane] } else { largest[lane] };
        }
    }
    let largest = largest.into_iter().fold(f32::NEG_INFINITY, f32::max);
    let mut sums = [0.0f32; LANES];
    for scores in scores.chunks_exact_mut(LANES) {
        for lane in 0..LANES {
            scores[lane] = exp(scores[lane] - largest);
            sums[lane] += scores[lane];
        }
    }
    let total = ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
    let inverse = 1.0 / total;
    for score in scores {
        *score *= inverse;
    }
}

/// `[32, head_dim]` of one head.
fn dense_values(shape: KvShape, page: &Page, kv_head: usize, out: &mut Vec<f32>) {
    let dim = shape.head_dim;
    let rows = kv_head * PAGE_TOKENS..(kv_head + 1) * PAGE_TOKENS;
    out.resize(PAGE_TOKENS * dim, 0.0);
    match page {
        Page::F32 { values, .. } => out.copy_from_slice(&values[rows.start * dim..rows.end * dim]),
        Page::Int8 { values, value_scales, .. } => {
            let codes = values[rows.start * dim..rows.end * dim].chunks_exact(dim);
            for ((out, codes), scale) in out.chunks_exact_mut(dim).zip(codes).zip(&value_scales[rows]) {
                for (out, code) in out.iter_mut().zip(codes) {
                    *out = f32::from(*code) * scale;
                }
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
