//! Products of packed weights with activations: the one place that knows about vector instructions.
//!
//! [`Kernel`] is the contract; `scalar` is the oracle, `simd128` and `relaxed` compute the very same bits faster: sums of int8 products are
//! exact in any order, and every floating-point sum runs in one order, never fused. [`Active`] is chosen when the crate is compiled, the one
//! switch; the host picks the package (`simd128` or `relaxed`) it can run.

mod beyond;
mod difference;
mod packed;
mod quantise;
mod scalar;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod simd128;

use beyond::Beyond;
pub use difference::first_difference;
use packed::tile_of;
pub(crate) use quantise::quantise;
pub use quantise::{Activations, BLOCK_WORDS};
pub use scalar::Scalar;
pub(crate) use scalar::column_of_codes;
use scalar::{Element, floats};

use crate::math::{exp, greater, silu, softmax};
use crate::spike::LARGEST_CODE;
use crate::weights::matrix::PANEL_ROWS;
use crate::weights::matrix::panel::column as column_of_panel;
use crate::weights::{Matrix, TensorType};
use core::mem::MaybeUninit;
use core::ops::Range;
use half::bf16;

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
pub use scalar::Scalar as Active;
#[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
pub use simd128::Relaxed as Active;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128", not(target_feature = "relaxed-simd")))]
pub use simd128::Simd128 as Active;

/// One value for each row of a panel.
pub type Lanes = [f32; PANEL_ROWS];

/// A panel of four rows times `T` tokens from `token` on, which share what is unpacked of the weights. Panels are read one by one, from
/// beginning to end: several side by side come from memory at half the speed or less.
pub trait Kernel {
    /// Shown to users: `scalar`, `simd128`, `relaxed`.
    const NAME: &'static str;

    /// The same kernel where the host sums four products of bytes in one instruction; itself where there is none.
    type Fours: Kernel;

    /// Whether this host does, so that [`Self::Fours`] is the faster one.
    fn sums_fours() -> bool {
        false
    }

    /// Q4_0 and Q4_1, which differ in where a block's minimum comes from.
    fn nibbles<const T: usize, const HAS_MINIMUM: bool>(panel: &[u8], x: &Activations, token: usize) -> [Lanes; T];

    /// Q4_0 and Q4_1 in another order of work, where there are so many tokens that it is the faster one: two panels at once. Returns how many of
    /// the panels, from the first on, it has computed; none where there is no faster way than panel by panel.
    fn pairs<const HAS_MINIMUM: bool>(_w: &Matrix, _panels: Range<usize>, _x: &Activations, _out: &mut Output<'_>) -> usize {
        0
    }

    /// Q8_0.
    fn bytes<const T: usize>(panel: &[u8], x: &Activations, token: usize) -> [Lanes; T];

    /// I8 in groups.
    fn groups<const T: usize>(panel: &[u8], x: &Activations, token: usize) -> [Lanes; T];

    /// F16.
    fn half_floats<const T: usize>(panel: &[u8], x: &Activations, token: usize) -> [Lanes; T];

    /// The weights of a column in the four rows of a panel; of I8 what its codes hold.
    fn column(kind: TensorType, panel: &[u8], column: usize) -> Lanes {
        column_of_panel(kind, panel, column)
    }

    /// Packs rows of a file, every `step`th of them from the first on, into as many panels (`weights/matrix.rs`) as there is room for, which it
    /// then hands out as written; none where some number is not finite, nor where there is no faster way than row by row.
    fn pack<'a>(
        _kind: TensorType,
        _rows: &[u8],
        _step: usize,
        _row_bytes: usize,
        _panels: &'a mut [MaybeUninit<u8>],
    ) -> Option<&'a mut [u8]> {
        None
    }

    /// Puts int8 codes, of activations or queries, as bytes and keys meet them: 16 bits for each, with nothing behind the last that counts.
    fn load(codes: &[i8], loaded: &mut [i16]) {
        loaded.iter_mut().zip(codes).for_each(|(word, code)| *word = i16::from(*code));
    }

    /// Attention's keys times queries: panels of four rows of int8 codes with a scale each, interleaved by four columns (`columns * 4` bytes),
    /// times `T` rows of int8 codes, `[T, columns]` as [`Self::load`] puts them, with a scale each. Those of query `t` go to `out` from
    /// `t * stride` on.
    fn scores<const T: usize>(keys: &[i8], key_scales: &[f32], queries: &[i16], query_scales: &[f32], out: &mut [f32], stride: usize);

    /// Attention's weights times values, a few columns from `column` on, added to `out`, token by token: `values` is `[tokens, width]`, the
    /// weights of row `r` begin at `r * stride`.
    fn mix<const R: usize>(weights: &[f32], stride: usize, values: &[f32], width: usize, column: usize, out: &mut [[f32; MIX_COLUMNS]; R]);

    /// As [`Self::mix`], of int8 values of these columns alone, `[tokens / 2, columns, 2]`, and weights that are codes too, `[R, tokens]`, an
    /// even number of them: sums are whole numbers, and what is added is a sum times what a code of its row is worth.
    fn mix_codes<const R: usize>(weights: &[i16], worths: &[f32; R], values: &[i8], out: &mut [[f32; MIX_COLUMNS]; R]);

    /// Weights of int8 values, times what a code of each value is worth, become codes of 15 bits, the largest of them 32,767; and what these
    /// lack, in codes worth [`REST`] times as much, where there is room for it. Returns what a code is worth: nothing where all weights are
    /// below what is told from it, and no number where the weights are none.
    fn weigh(weights: &[f32], scales: &[f32], codes: &mut [i16], rests: &mut [i16]) -> f32 {
        let largest = weights.iter().zip(scales).map(|(weight, scale)| weight * scale).fold(0.0, greater);
        if largest < LEAST_WEIGHT {
            codes.fill(0);
            rests.fill(0);
            return weights.first().map_or(0.0, |weight| weight * 0.0);
        }
        let factor = LARGEST_WEIGHT / largest;
        for (index, (code, (weight, scale))) in codes.iter_mut().zip(weights.iter().zip(scales)).enumerate() {
            let exact = weight * scale * factor;
            *code = nearest(exact);
            if let Some(rest) = rests.get_mut(index) {
                *rest = nearest((exact - f32::from(*code)) * (1.0 / REST));
            }
        }
        largest / LARGEST_WEIGHT
    }

    /// The largest magnitude; what is no number is passed over.
    fn largest(values: &[f32]) -> f32 {
        values.iter().fold(0.0, |largest, x| if x.abs() > largest { x.abs() } else { largest })
    }

    /// The whole numbers nearest to `values * factor`, ties to even, where they are within -127 and 127.
    fn round(values: &[f32], factor: f32, codes: &mut [i8]) {
        for (code, x) in codes.iter_mut().zip(values) {
            #[allow(clippy::cast_possible_truncation)]
            {
                *code = (x * factor + WHOLE).to_bits().cast_signed() as i8;
            }
        }
    }

    /// Sum of the magnitudes of finite numbers, in f64, eight sums side by side and then what is left of eight; and the largest.
    fn magnitudes(row: &[f32]) -> (f64, f32) {
        let mut sums = [0.0f64; SUMS];
        let mut most = [0.0f32; SUMS];
        let chunks = row.chunks_exact(SUMS);
        let rest = chunks.remainder();
        for chunk in chunks {
            for (x, (sum, most)) in chunk.iter().zip(sums.iter_mut().zip(&mut most)) {
                *sum += f64::from(x.abs());
                *most = if x.abs() > *most { x.abs() } else { *most };
            }
        }
        magnitudes_together(&sums, &most, rest)
    }

    /// Every number becomes the nearest multiple of the threshold, ties to the even one; codes are the multiples, within -127 and 127. `largest`
    /// is the largest magnitude of a multiple.
    fn count(row: &mut [f32], threshold: f32, _largest: f32, codes: &mut [i8]) {
        for (x, code) in row.iter_mut().zip(codes) {
            let count = (*x / threshold).round_ties_even();
            *x = threshold * count;
            #[allow(clippy::cast_possible_truncation)]
            {
                *code = count.clamp(-LARGEST_CODE, LARGEST_CODE) as i8;
            }
        }
    }

    /// Every number becomes its exponential.
    fn exp(x: &mut [f32]) {
        x.iter_mut().for_each(|x| *x = exp(*x));
    }

    /// [`crate::math::softmax`].
    fn softmax(scores: &mut [f32]) -> (f32, f32) {
        softmax(scores)
    }

    /// `out = silu(gate) * up`.
    fn gated(gate: &[f32], up: &[f32], out: &mut [f32]) {
        for ((out, gate), up) in out.iter_mut().zip(gate).zip(up) {
            *out = silu(*gate) * up;
        }
    }
}

/// 1.5 * 2^23: a number that is added to it is rounded, ties to even, and stands in its low bits.
const WHOLE: f32 = 12_582_912.0;
/// The largest code of [`Kernel::weigh`].
const LARGEST_WEIGHT: f32 = 32_767.0;
/// What [`Kernel::weigh`] tells from nothing: the inverse of anything less may be infinite.
const LEAST_WEIGHT: f32 = 1e-30;
/// What a code of the rest of a weight is worth, over one of the weight.
pub(crate) const REST: f32 = 1.0 / 32_768.0;
/// Sums side by side of [`Kernel::magnitudes`].
const SUMS: usize = 8;

/// The nearest whole number, ties to even, of one that fits.
fn nearest(x: f32) -> i16 {
    #[allow(clippy::cast_possible_truncation)]
    {
        (x + WHOLE).to_bits().cast_signed() as i16
    }
}

fn magnitudes_together(sums: &[f64; SUMS], most: &[f32; SUMS], rest: &[f32]) -> (f64, f32) {
    let sum = sums.iter().sum::<f64>() + rest.iter().map(|x| f64::from(x.abs())).sum::<f64>();
    (sum, most.iter().copied().chain(rest.iter().map(|x| x.abs())).fold(0.0, f32::max))
}

/// [`Kernel::load`] of the form of a kernel that is the faster one on this host.
pub(crate) fn load<K: Kernel>() -> fn(&[i8], &mut [i16]) {
    if K::sums_fours() { K::Fours::load } else { K::load }
}

/// Columns of values that are mixed together: two vectors.
pub const MIX_COLUMNS: usize = 8;
/// Tokens computed together, so that a panel is unpacked once for all of them.
const TILE: usize = 4;

/// `y[token, row - rows.start] = sum over columns of w[row, column] * x[token, column]` for the given rows, which must start at a panel.
/// `y` is `[tokens, stride]` with `stride` at least `rows.len()` rounded up to whole panels: the padding is overwritten.
///
/// What int8 codes cannot hold, of spike counts and then of weights, is added afterwards in f32, column by column.
pub fn product<K: Kernel>(w: &Matrix, rows: Range<usize>, x: &Activations, y: &mut [f32], stride: usize) {
    if rows.is_empty() {
        return;
    }
    if K::sums_fours() {
        products_of_codes::<K::Fours>(w, rows.clone(), x, y, stride);
    } else {
        products_of_codes::<K>(w, rows.clone(), x, y, stride);
    }
    if !w.kind().is_quantised() {
        return;
    }
    for (token, y) in y.chunks_exact_mut(stride).take(x.tokens()).enumerate() {
        for (column, rest) in x.crowded(token) {
            w.add_column(column, rows.clone(), rest, y);
        }
        w.add_outliers(rows.clone(), &x.values()[token * x.columns()..(token + 1) * x.columns()], y);
    }
}

fn products_of_codes<K: Kernel>(w: &Matrix, rows: Range<usize>, x: &Activations, y: &mut [f32], stride: usize) {
    assert!(x.columns() == w.columns() && rows.start.is_multiple_of(PANEL_ROWS), "a product's shapes are fixed by the model");
    let panels = rows.start / PANEL_ROWS..rows.end.div_ceil(PANEL_ROWS);
    assert!(stride >= panels.len() * PANEL_ROWS && y.len() >= x.tokens() * stride, "a product's output is sized by its caller");
    let out = Output { y, stride };
    match w.kind() {
        TensorType::Q4_0 => of_nibbles::<K, false>(w, panels, x, out),
        TensorType::Q4_1 => of_nibbles::<K, true>(w, panels, x, out),
        TensorType::Q8_0 => of_bytes::<K>(w, panels, x, out),
        TensorType::I8 => of_groups::<K>(w, panels, x, out),
        // `Matrix::new` makes none.
        TensorType::I32 => {}
        TensorType::F16 => of_halves::<K>(w, panels, x, out),
        TensorType::F32 => of_floats::<f32, 4>(w, panels, x, out),
        TensorType::Bf16 => of_floats::<bf16, 2>(w, panels, x, out),
    }
}

// Not inlined: a function for each type keeps its registers to itself, and has a name in a profile.

#[inline(never)]
fn of_nibbles<K: Kernel, const HAS_MINIMUM: bool>(w: &Matrix, panels: Range<usize>, x: &Activations, mut out: Output<'_>) {
    let done = K::pairs::<HAS_MINIMUM>(w, panels.clone(), x, &mut out);
    let (panels, out) = (panels.start + done..panels.end, out.behind(done));
    let column = |panel: &[u8], column| K::column(if HAS_MINIMUM { TensorType::Q4_1 } else { TensorType::Q4_0 }, panel, column);
    each_panel(
        w,
        panels,
        x,
        out,
        K::nibbles::<1, HAS_MINIMUM>,
        K::nibbles::<2, HAS_MINIMUM>,
        K::nibbles::<TILE, HAS_MINIMUM>,
        Some(column),
    );
}

#[inline(never)]
fn of_bytes<K: Kernel>(w: &Matrix, panels: Range<usize>, x: &Activations, out: Output<'_>) {
    each_panel(
        w,
        panels,
        x,
        out,
        K::bytes::<1>,
        K::bytes::<2>,
        K::bytes::<TILE>,
        Some(|panel: &[u8], column| K::column(TensorType::Q8_0, panel, column)),
    );
}

#[inline(never)]
fn of_groups<K: Kernel>(w: &Matrix, panels: Range<usize>, x: &Activations, out: Output<'_>) {
    each_panel(
        w,
        panels,
        x,
        out,
        K::groups::<1>,
        K::groups::<2>,
        K::groups::<TILE>,
        Some(|panel: &[u8], column| K::column(TensorType::I8, panel, column)),
    );
}

#[inline(never)]
fn of_halves<K: Kernel>(w: &Matrix, panels: Range<usize>, x: &Activations, out: Output<'_>) {
    each_panel(w, panels, x, out, K::half_floats::<1>, K::half_floats::<2>, K::half_floats::<TILE>, NO_COLUMN);
}

#[inline(never)]
fn of_floats<E: Element<S>, const S: usize>(w: &Matrix, panels: Range<usize>, x: &Activations, out: Output<'_>) {
    each_panel(w, panels, x, out, floats::<E, S, 1>, floats::<E, S, 2>, floats::<E, S, TILE>, NO_COLUMN);
}

/// Of types that meet the values themselves, in which nothing is lacking.
const NO_COLUMN: Option<fn(&[u8], usize) -> Lanes> = None;

/// Where a product goes, panel by panel: those of token `t` from `t * stride` on.
pub struct Output<'a> {
    y: &'a mut [f32],
    stride: usize,
}

impl Output<'_> {
    /// What is behind so many panels.
    fn behind(&mut self, panels: usize) -> Output<'_> {
        Output { y: &mut self.y[panels * PANEL_ROWS..], stride: self.stride }
    }

    #[inline(always)]
    fn put<const T: usize>(&mut self, panel: usize, token: usize, sums: &[Lanes; T]) {
        for (t, lanes) in sums.iter().enumerate() {
            let at = (token + t) * self.stride + panel * PANEL_ROWS;
            self.y[at..at + PANEL_ROWS].copy_from_slice(lanes);
        }
    }

    /// A column's weights are looked up once for all tokens that lack something in it.
    #[inline(always)]
    fn add_columns(&mut self, panel: usize, beyond: &[Beyond], column: impl Fn(usize) -> Lanes) {
        let (mut weights, mut of) = ([0.0; PANEL_ROWS], None);
        for one in beyond {
            if of != Some(one.column) {
                (weights, of) = (column(one.column as usize), Some(one.column));
            }
            let at = one.token as usize * self.stride + panel * PANEL_ROWS;
            if let Some((y, _)) = self.y[at..].split_first_chunk_mut::<PANEL_ROWS>() {
                *y = core::array::from_fn(|lane| y[lane] + weights[lane] * one.rest);
            }
        }
    }
}

/// The loop around a kernel. Where `column` gives a column's weights, what counts beyond their codes lack is added to each panel while it is in
/// the cache.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn each_panel(
    w: &Matrix,
    panels: Range<usize>,
    x: &Activations,
    mut out: Output<'_>,
    one: impl Fn(&[u8], &Activations, usize) -> [Lanes; 1],
    two: impl Fn(&[u8], &Activations, usize) -> [Lanes; 2],
    tile: impl Fn(&[u8], &Activations, usize) -> [Lanes; TILE],
    column: Option<impl Fn(&[u8], usize) -> Lanes>,
) {
    for (at, panel) in panels.enumerate() {
        let bytes = w.panel(panel);
        let mut token = 0;
        while token < x.tokens() {
            let (_, size) = tile_of(token, x.tokens());
            match size {
                TILE => out.put(at, token, &tile(bytes, x, token)),
                2 => out.put(at, token, &two(bytes, x, token)),
                _ => out.put(at, token, &one(bytes, x, token)),
            }
            token += size;
        }
        if let Some(column) = &column {
            out.add_columns(at, x.beyond_codes(), |index| column(bytes, index));
        }
    }
}
