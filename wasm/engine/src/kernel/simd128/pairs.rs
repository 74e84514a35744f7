//! Two panels of nibbles at once, for many tokens: unpacked once for all of them, and a code that is loaded meets eight rows.
//!
//! A stretch of both panels is unpacked into the nearest cache and met by all tokens there before the next one is read, so that panels come
//! from memory side by side once for many tokens and not, as [`Kernel`] warns of, for a few. Sums are the very same, in the same order.

use super::super::packed::Bytes;
use super::super::{Activations, Kernel, Lanes, Output, TILE};
use super::{Dot, halves, lanes, scaled};
use crate::weights::matrix::PANEL_ROWS;
use crate::weights::tensor_type::BLOCK;
use crate::weights::{Matrix, TensorType};
use core::arch::wasm32::*;
use core::hint::black_box;
use core::ops::Range;

/// Panels that are met together: with four tokens their sums take eight of a host's sixteen registers.
const PAIR: usize = 2;
/// Columns of a block that are met together.
const FOURS: usize = BLOCK / 4;
/// Blocks that are unpacked together: 10 KB, and 5 KB for the codes of four tokens that they meet.
const STRETCH: usize = 32;
/// Tokens whose sums are kept while stretches come and go.
const TOKENS: usize = 64;
/// Fewer are met panel by panel.
const LEAST_TOKENS: usize = 2 * TILE;

/// A block of both panels as tokens meet it.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
struct Unpacked {
    /// Four columns after another, of one panel and then of the other.
    weights: [[[u8; 4 * PANEL_ROWS]; PAIR]; FOURS],
    /// What a weight is worth.
    d: [Lanes; PAIR],
    /// What is added to it.
    m: [Lanes; PAIR],
}

const NOTHING: Unpacked =
    Unpacked { weights: [[[0; 4 * PANEL_ROWS]; PAIR]; FOURS], d: [[0.0; PANEL_ROWS]; PAIR], m: [[0.0; PANEL_ROWS]; PAIR] };

/// Sums of a tile, by token and panel.
type Totals = [[Lanes; PAIR]; TILE];

const NO_TOTALS: Totals = [[[0.0; PANEL_ROWS]; PAIR]; TILE];

/// See [`Kernel::pairs`].
pub(super) fn pairs<K: Kernel + Dot, const HAS_MINIMUM: bool>(
    w: &Matrix,
    panels: Range<usize>,
    x: &Activations,
    out: &mut Output<'_>,
) -> usize {
    if !K::IN_PAIRS || x.tokens() < LEAST_TOKENS {
        return 0;
    }
    let count = panels.len() / PAIR * PAIR;
    let mut stretch = [NOTHING; STRETCH];
    let mut totals = [NO_TOTALS; TOKENS / TILE];
    for at in (0..count).step_by(PAIR) {
        let pair = [w.panel(panels.start + at), w.panel(panels.start + at + 1)];
        for first in (0..x.tokens() / TILE * TILE).step_by(TOKENS) {
            let totals = &mut totals[..((x.tokens() - first) / TILE).min(TOKENS / TILE)];
            tiles::<K, HAS_MINIMUM>(pair, x, first, &mut stretch, totals);
            for (tile, totals) in totals.iter().enumerate() {
                for panel in 0..PAIR {
                    out.put(at + panel, first + tile * TILE, &totals.map(|of_token| of_token[panel]));
                }
            }
        }
        for (panel, bytes) in pair.into_iter().enumerate() {
            rest::<K, HAS_MINIMUM>(bytes, x, at + panel, out);
        }
    }
    count
}

/// The sums of whole tiles from the token `first` on.
#[inline(always)]
fn tiles<K: Kernel + Dot, const HAS_MINIMUM: bool>(
    pair: [&[u8]; PAIR],
    x: &Activations,
    first: usize,
    stretch: &mut [Unpacked; STRETCH],
    totals: &mut [Totals],
) {
    totals.fill(NO_TOTALS);
    for start in (0..x.blocks()).step_by(STRETCH) {
        let end = x.blocks().min(start + STRETCH);
        let stretch = &mut stretch[..end - start];
        unpack::<HAS_MINIMUM>(pair, start, stretch);
        for (tile, totals) in totals.iter_mut().enumerate() {
            let records = &x.bytes::<TILE>(first + tile * TILE)[TILE * start..TILE * end];
            meet::<K>(stretch, records.as_chunks().0, totals);
        }
    }
}

/// The tokens behind the last whole tile, and what counts beyond their codes lack.
#[inline(always)]
fn rest<K: Kernel, const HAS_MINIMUM: bool>(panel: &[u8], x: &Activations, at: usize, out: &mut Output<'_>) {
    let (tokens, left) = (x.tokens(), x.tokens() % TILE);
    if left >= 2 {
        out.put(at, tokens - left, &K::nibbles::<2, HAS_MINIMUM>(panel, x, tokens - left));
    }
    if left % 2 == 1 {
        out.put(at, tokens - 1, &K::nibbles::<1, HAS_MINIMUM>(panel, x, tokens - 1));
    }
    let kind = if HAS_MINIMUM { TensorType::Q4_1 } else { TensorType::Q4_0 };
    out.add_columns(at, x.beyond_codes(), |column| K::column(kind, panel, column));
}

/// The blocks from `start` on, as many as there is room for.
#[inline(always)]
fn unpack<const HAS_MINIMUM: bool>(pair: [&[u8]; PAIR], start: usize, stretch: &mut [Unpacked]) {
    let head = if HAS_MINIMUM { 4 * PANEL_ROWS } else { 2 * PANEL_ROWS };
    let bytes = head + BLOCK / 2 * PANEL_ROWS;
    for (panel, packed) in pair.into_iter().enumerate() {
        let blocks = packed[start * bytes..(start + stretch.len()) * bytes].chunks_exact(bytes);
        for (block, unpacked) in blocks.map(<[u8]>::as_ptr).zip(stretch.iter_mut()) {
            // SAFETY: a block has its head, then four vectors of nibbles; each place that is written to has sixteen bytes.
            unsafe {
                for i in 0..FOURS / 2 {
                    let packed = v128_load(block.add(head + i * 16).cast());
                    v128_store(unpacked.weights[i][panel].as_mut_ptr().cast(), v128_and(packed, u8x16_splat(15)));
                    let high = v128_and(u16x8_shr(packed, 4), u8x16_splat(15));
                    v128_store(unpacked.weights[FOURS / 2 + i][panel].as_mut_ptr().cast(), high);
                }
                let d = halves(block);
                let m = if HAS_MINIMUM { halves(block.add(8)) } else { f32x4_mul(d, f32x4_splat(-8.0)) };
                v128_store(unpacked.d[panel].as_mut_ptr().cast(), d);
                v128_store(unpacked.m[panel].as_mut_ptr().cast(), m);
            }
        }
    }
}

/// Adds to a tile's totals the products of its blocks with those of both panels.
///
/// A block's eight steps are written out, two and two; between them stands a way out that is never taken. Without it the compiler would
/// move each sum's products together, of one row and token after another, and nothing that is loaded would stay in a register.
#[inline(never)]
fn meet<D: Dot>(weights: &[Unpacked], records: &[[Bytes; TILE]], totals: &mut Totals) {
    let never = black_box(FOURS);
    // SAFETY: a place that is loaded from or stored to holds sixteen bytes, or four where they are loaded as such.
    unsafe {
        let mut sums_of_all = totals.map(|of_token| of_token.map(|sum| v128_load(sum.as_ptr().cast())));
        for (w, x) in weights.iter().zip(records) {
            let mut sums = [[D::NONE; PAIR]; TILE];
            for step in 0..FOURS {
                if step % 2 == 0 && step > 0 && never == step {
                    break;
                }
                let [one, other] = [0, 1].map(|panel| v128_load(w.weights[step][panel].as_ptr().cast()));
                for (sums, x) in sums.iter_mut().zip(x) {
                    let codes = v128_load32_splat(x.codes.as_ptr().add(4 * step).cast());
                    *sums = [D::add(sums[0], one, codes), D::add(sums[1], other, codes)];
                }
            }
            for panel in 0..PAIR {
                let (d, m) = (v128_load(w.d[panel].as_ptr().cast()), v128_load(w.m[panel].as_ptr().cast()));
                for ((totals, sums), x) in sums_of_all.iter_mut().zip(&sums).zip(x) {
                    let total = f32x4_add(totals[panel], scaled(D::finish(sums[panel]), d, &raw const x.scale));
                    totals[panel] = f32x4_add(total, f32x4_mul(m, v128_load32_splat((&raw const x.sum).cast())));
                }
            }
        }
        *totals = sums_of_all.map(|of_token| of_token.map(lanes));
    }
}
