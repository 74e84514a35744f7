//! Products of the keys of a page with queries, four tokens at a time, in int8 where keys are stored so.

use super::queries::Loaded;
use crate::kernel::{Active, Kernel};
use crate::state::{KvShape, PAGE_TOKENS, PANEL_TOKENS, Page};
use core::ops::Range;

/// Panels of a page.
pub const PANELS: usize = PAGE_TOKENS / PANEL_TOKENS;

/// The scores of the tokens in these panels of a page, unmasked: row `r`'s begin at `r * stride` of `out`.
pub fn page_scores(shape: KvShape, page: &Page, kv_head: usize, panels: Range<usize>, queries: &Loaded, out: &mut [f32], stride: usize) {
    match page {
        Page::F32 { keys, .. } => {
            let panel_size = PANEL_TOKENS * shape.head_dim;
            for panel in panels {
                let at = (kv_head * PANELS + panel) * panel_size;
                for (row, query) in queries.dense.chunks_exact(shape.head_dim).enumerate() {
                    let to = row * stride + panel * PANEL_TOKENS;
                    out[to..to + PANEL_TOKENS].copy_from_slice(&dense_scores(&keys[at..at + panel_size], query));
                }
            }
        }
        Page::Int8 { keys, key_scales, .. } => {
            let panel_size = PANEL_TOKENS * shape.padded_dim();
            for panel in panels {
                let at = (kv_head * PANELS + panel) * panel_size;
                let key_scales = &key_scales[kv_head * PAGE_TOKENS + panel * PANEL_TOKENS..][..PANEL_TOKENS];
                let to = panel * PANEL_TOKENS;
                code_scores(&keys[at..at + panel_size], key_scales, shape.padded_dim(), queries, &mut out[to..], stride);
                for (row, query) in queries.wide.iter().zip(queries.dense.chunks_exact(shape.head_dim)) {
                    let lanes = wide_scores(&keys[at..at + panel_size], key_scales, query);
                    out[row * stride + to..row * stride + to + PANEL_TOKENS].copy_from_slice(&lanes);
                }
            }
        }
    }
}

/// One panel of int8 keys times all queries.
fn code_scores(panel: &[i8], key_scales: &[f32], width: usize, queries: &Loaded, out: &mut [f32], stride: usize) {
    let mut row = 0;
    while row < queries.rows {
        row += match queries.rows - row {
            1 => rows_of_scores::<1>(panel, key_scales, width, queries, row, out, stride),
            2 => rows_of_scores::<2>(panel, key_scales, width, queries, row, out, stride),
            3 => rows_of_scores::<3>(panel, key_scales, width, queries, row, out, stride),
            _ => rows_of_scores::<4>(panel, key_scales, width, queries, row, out, stride),
        }
    }
}

/// As many rows from `row` on, which are returned.
#[inline(always)]
fn rows_of_scores<const T: usize>(
    panel: &[i8],
    key_scales: &[f32],
    width: usize,
    queries: &Loaded,
    row: usize,
    out: &mut [f32],
    stride: usize,
) -> usize {
    let scores = Active::scores::<T>(panel, key_scales, &queries.codes[row * width..(row + T) * width], &queries.scales[row..row + T]);
    for (t, scores) in scores.iter().enumerate() {
        out[(row + t) * stride..][..PANEL_TOKENS].copy_from_slice(scores);
    }
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
