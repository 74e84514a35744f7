//! Weights times the values of some tokens, added token by token to the outputs of the rows that they are for.

use crate::kernel::{Active, Kernel, MIX_COLUMNS, REST, column_of_codes};
use crate::state::{KvShape, PAGE_TOKENS, Page};

/// Some tokens' values of one KV head.
#[derive(Debug, Clone, Copy)]
pub enum Values<'a> {
    /// `[tokens, head_dim]`
    Dense(&'a [f32]),
    /// int8 codes as a page holds them, and what a code of each token is worth.
    Codes(&'a [i8], &'a [f32]),
}

impl<'a> Values<'a> {
    /// Those of a whole page.
    pub fn of_page(page: &'a Page, shape: KvShape, kv_head: usize) -> Self {
        let tokens = kv_head * PAGE_TOKENS..(kv_head + 1) * PAGE_TOKENS;
        let cells = tokens.start * shape.head_dim..tokens.end * shape.head_dim;
        match page {
            Page::Int8 { values, value_scales, .. } => Self::Codes(&values[cells], &value_scales[tokens]),
            Page::F32 { values, .. } => Self::Dense(&values[cells]),
        }
    }
}

/// `out += weights * values` for `rows` rows, token by token: row `r`'s weights begin at `r * stride`, and its output is `dim` wide from
/// `row_of(r) * dim` on. Weights of int8 values are rounded to 15 bits, or twice to 30 where that is too coarse.
#[allow(clippy::too_many_arguments)]
#[inline(never)]
pub fn add_values(
    values: Values<'_>,
    dim: usize,
    weights: &[f32],
    stride: usize,
    rows: usize,
    out: &mut [f32],
    row_of: impl Fn(usize) -> usize,
    fine: bool,
) {
    let mut row = 0;
    while row < rows {
        let (weights, row_of) = (&weights[row * stride..], |r: usize| row_of(row + r));
        row += match rows - row {
            1 => add_rows::<1>(values, dim, weights, stride, out, row_of, fine),
            2 => add_rows::<2>(values, dim, weights, stride, out, row_of, fine),
            3 => add_rows::<3>(values, dim, weights, stride, out, row_of, fine),
            _ => add_rows::<4>(values, dim, weights, stride, out, row_of, fine),
        }
    }
}

/// So many rows, which are returned.
#[inline(always)]
fn add_rows<const R: usize>(
    values: Values<'_>,
    dim: usize,
    weights: &[f32],
    stride: usize,
    out: &mut [f32],
    row_of: impl Fn(usize) -> usize,
    fine: bool,
) -> usize {
    let starts: [usize; R] = core::array::from_fn(|r| row_of(r) * dim);
    match values {
        Values::Dense(values) => {
            each_column(
                dim,
                starts,
                out,
                |column, sums| Active::mix::<R>(weights, stride, values, dim, column, sums),
                |column, r| values.chunks_exact(dim).zip(&weights[r * stride..]).map(move |(values, weight)| weight * values[column]),
            );
        }
        Values::Codes(values, scales) => {
            let mut codes = [[[0i16; PAGE_TOKENS]; R]; 2];
            let [of_weights, of_rests] = &mut codes;
            let worths: [f32; R] = core::array::from_fn(|r| {
                let rests = if fine { &mut of_rests[r][..] } else { &mut [] };
                Active::weigh(&weights[r * stride..][..PAGE_TOKENS], scales, &mut of_weights[r], rests)
            });
            let parts = [(&codes[0], worths), (&codes[1], worths.map(|worth| worth * REST))];
            let parts = &parts[..if fine { 2 } else { 1 }];
            each_column(
                dim,
                starts,
                out,
                |column, sums| {
                    let values = &values[column * PAGE_TOKENS..(column + MIX_COLUMNS) * PAGE_TOKENS];
                    parts.iter().for_each(|(codes, worths)| Active::mix_codes::<R>(codes.as_flattened(), worths, values, sums));
                },
                |column, r| {
                    let (first, columns) = (dim / MIX_COLUMNS * MIX_COLUMNS, dim % MIX_COLUMNS);
                    let values = &values[first * PAGE_TOKENS..];
                    parts.iter().map(move |(codes, worths)| column_of_codes(&codes[r], values, columns, column - first) * worths[r])
                },
            );
        }
    }
    R
}

/// Adds to the outputs that begin at `starts`: a few columns at a time, and the last ones one by one, term by term.
#[inline(always)]
fn each_column<const R: usize, I: Iterator<Item = f32>>(
    dim: usize,
    starts: [usize; R],
    out: &mut [f32],
    mix: impl Fn(usize, &mut [[f32; MIX_COLUMNS]; R]),
    terms: impl Fn(usize, usize) -> I,
) {
    let whole = dim / MIX_COLUMNS * MIX_COLUMNS;
    for column in (0..whole).step_by(MIX_COLUMNS) {
        let mut sums: [[f32; MIX_COLUMNS]; R] = core::array::from_fn(|r| {
            let at = starts[r] + column;
            core::array::from_fn(|c| out[at + c])
        });
        mix(column, &mut sums);
        for (start, sums) in starts.iter().zip(&sums) {
            out[start + column..start + column + MIX_COLUMNS].copy_from_slice(sums);
        }
    }
    for column in whole..dim {
        for (r, start) in starts.iter().enumerate() {
            terms(column, r).for_each(|term| out[start + column] += term);
        }
    }
}
