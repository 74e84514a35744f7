//! Products of the keys of a page with queries, four tokens at a time, in int8 where keys are stored so.

use super::queries::Loaded;
use crate::kernel::{Active, Kernel};
use crate::state::{KvShape, PAGE_TOKENS, PANEL_TOKENS, Page};
use core::ops::Range;

/// Panels of a page.
pub const PANELS: usize = PAGE_TOKENS / PANEL_TOKENS;

/// The scores of the tokens in these panels of a page with some of the loaded queries, unmasked: those of row `r` of them begin at
/// `r * stride` of `out`.
#[allow(clippy::too_many_arguments)]
#[inline(never)]
pub fn page_scores(
    shape: KvShape,
    page: &Page,
    kv_head: usize,
    panels: Range<usize>,
    queries: &Loaded,
    rows: Range<usize>,
    out: &mut [f32],
    stride: usize,
) {
    match page {
        Page::F32 { keys, .. } => {
            let panel_size = PANEL_TOKENS * shape.head_dim;
            for panel in panels {
                let at = (kv_head * PANELS + panel) * panel_size;
                let dense = &queries.dense[rows.start * shape.head_dim..rows.end * shape.head_dim];
                for (row, query) in dense.chunks_exact(shape.head_dim).enumerate() {
                    let to = row * stride + panel * PANEL_TOKENS;
                    out[to..to + PANEL_TOKENS].copy_from_slice(&dense_scores(&keys[at..at + panel_size], query));
                }
            }
        }
        Page::Int8 { keys, key_scales, .. } => {
            let width = shape.padded_dim();
            let tokens = panels.start * PANEL_TOKENS..panels.end * PANEL_TOKENS;
            let keys = &keys[(kv_head * PAGE_TOKENS + tokens.start) * width..(kv_head * PAGE_TOKENS + tokens.end) * width];
            let key_scales = &key_scales[kv_head * PAGE_TOKENS + tokens.start..kv_head * PAGE_TOKENS + tokens.end];
            let out = &mut out[tokens.start..];
            let code_scores = if Active::sums_fours() { code_scores::<<Active as Kernel>::Fours> } else { code_scores::<Active> };
            code_scores(keys, key_scales, width, queries, rows.clone(), out, stride);
            let wide = queries.wide.iter().zip(queries.dense.chunks_exact(shape.head_dim));
            for (row, query) in wide.filter(|(row, _)| rows.contains(row)) {
                let panels = keys.chunks_exact(PANEL_TOKENS * width).zip(key_scales.chunks_exact(PANEL_TOKENS));
                for ((panel, key_scales), out) in panels.zip(out[(row - rows.start) * stride..].chunks_exact_mut(PANEL_TOKENS)) {
                    out.copy_from_slice(&wide_scores(panel, key_scales, query));
                }
            }
        }
    }
}

/// Panels of int8 keys times the queries of these rows.
fn code_scores<K: Kernel>(
    keys: &[i8],
    key_scales: &[f32],
    width: usize,
    queries: &Loaded,
    mut rows: Range<usize>,
    mut out: &mut [f32],
    stride: usize,
) {
    while !rows.is_empty() {
        let taken = match rows.len() {
            1 => rows_of_scores::<K, 1>(keys, key_scales, width, queries, rows.start, out, stride),
            2 => rows_of_scores::<K, 2>(keys, key_scales, width, queries, rows.start, out, stride),
            3 => rows_of_scores::<K, 3>(keys, key_scales, width, queries, rows.start, out, stride),
            _ => rows_of_scores::<K, 4>(keys, key_scales, width, queries, rows.start, out, stride),
        };
        rows.start += taken;
        if !rows.is_empty() {
            out = &mut out[taken * stride..];
        }
    }
}

/// As many rows from `row` on, which are returned.
#[inline(always)]
fn rows_of_scores<K: Kernel, const T: usize>(
    keys: &[i8],
    key_scales: &[f32],
    width: usize,
    queries: &Loaded,
    row: usize,
    out: &mut [f32],
    stride: usize,
) -> usize {
    K::scores::<T>(keys, key_scales, &queries.codes[row * width..(row + T) * width], &queries.scales[row..row + T], out, stride);
    T
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
