//! Weights times the values of some tokens, added token by token to the outputs of the rows that they are for.

use crate::kernel::{Active, Kernel, MIX_COLUMNS};
use crate::state::{KvShape, PAGE_TOKENS, Page};

/// Rows that a page of codes is met by as it is; where more meet it, what the codes are worth is computed once for all of them.
const FEW_ROWS: usize = 4;

/// Some tokens' values of one KV head.
#[derive(Debug, Clone, Copy)]
pub enum Values<'a> {
    /// `[tokens, head_dim]`
    Dense(&'a [f32]),
    /// int8 codes, `[tokens, head_dim]`, and what a code of each token is worth.
    Codes(&'a [i8], &'a [f32]),
}

impl<'a> Values<'a> {
    /// Those of a whole page, for so many rows. `buffer` is `[32, head_dim]`.
    pub fn of_page(page: &'a Page, shape: KvShape, kv_head: usize, rows: usize, buffer: &'a mut [f32]) -> Self {
        match page {
            Page::Int8 { values, value_scales, .. } if rows <= FEW_ROWS => {
                let tokens = kv_head * PAGE_TOKENS..(kv_head + 1) * PAGE_TOKENS;
                Self::Codes(&values[tokens.start * shape.head_dim..tokens.end * shape.head_dim], &value_scales[tokens])
            }
            Page::Int8 { .. } | Page::F32 { .. } => {
                page.values(shape, kv_head, 0, buffer);
                Self::Dense(buffer)
            }
        }
    }

    /// The product of a weight with a value, for one column: a row's weights are in the order of the tokens.
    fn add_column(self, weights: &[f32], dim: usize, column: usize, out: &mut f32) {
        match self {
            Self::Dense(values) => {
                for (weight, values) in weights.iter().zip(values.chunks_exact(dim)) {
                    *out += weight * values[column];
                }
            }
            Self::Codes(codes, scales) => {
                for ((weight, codes), scale) in weights.iter().zip(codes.chunks_exact(dim)).zip(scales) {
                    *out += weight * (f32::from(codes[column]) * scale);
                }
            }
        }
    }
}

/// `out += weights * values` for `rows` rows, token by token: row `r`'s weights begin at `r * stride`, and its output is `dim` wide from
/// `row_of(r) * dim` on.
#[inline(never)]
pub fn add_values(
    values: Values<'_>,
    dim: usize,
    weights: &[f32],
    stride: usize,
    rows: usize,
    out: &mut [f32],
    row_of: impl Fn(usize) -> usize,
) {
    let mut row = 0;
    while row < rows {
        let (weights, row_of) = (&weights[row * stride..], |r: usize| row_of(row + r));
        row += match rows - row {
            1 => add_rows::<1>(values, dim, weights, stride, out, row_of),
            2 => add_rows::<2>(values, dim, weights, stride, out, row_of),
            3 => add_rows::<3>(values, dim, weights, stride, out, row_of),
            _ => add_rows::<4>(values, dim, weights, stride, out, row_of),
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
) -> usize {
    let starts: [usize; R] = core::array::from_fn(|r| row_of(r) * dim);
    let whole = dim / MIX_COLUMNS * MIX_COLUMNS;
    for column in (0..whole).step_by(MIX_COLUMNS) {
        let mut sums: [[f32; MIX_COLUMNS]; R] = core::array::from_fn(|r| {
            let at = starts[r] + column;
            core::array::from_fn(|c| out[at + c])
        });
        match values {
            Values::Dense(values) => Active::mix::<R>(weights, stride, values, dim, column, &mut sums),
            Values::Codes(codes, scales) => Active::mix_codes::<R>(weights, stride, (codes, scales), dim, column, &mut sums),
        }
        for (start, sums) in starts.iter().zip(&sums) {
            out[start + column..start + column + MIX_COLUMNS].copy_from_slice(sums);
        }
    }
    for column in whole..dim {
        for (r, start) in starts.iter().enumerate() {
            values.add_column(&weights[r * stride..], dim, column, &mut out[start + column]);
        }
    }
    R
}
