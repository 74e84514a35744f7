//! Products of packed weights with activations: the one place that knows about vector instructions.
//!
//! [`Kernel`] is the contract; `scalar` is the oracle, `simd128` and `relaxed` compute the very same bits faster: sums of int8 products are
//! exact in any order, and every floating-point sum runs in one order, never fused. [`Active`] is chosen when the crate is compiled, the one
//! switch; the host picks the package (`simd128` or `relaxed`) it can run.

mod quantise;
mod scalar;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod simd128;

pub use quantise::Activations;
pub(crate) use quantise::quantise;
pub use scalar::Scalar;
use scalar::floats;

use crate::weights::matrix::PANEL_ROWS;
use crate::weights::{Matrix, TensorType};
use core::ops::Range;
use half::{bf16, f16};

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
pub use scalar::Scalar as Active;
#[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
pub use simd128::Relaxed as Active;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128", not(target_feature = "relaxed-simd")))]
pub use simd128::Simd128 as Active;

/// One value for each row of a panel.
pub type Lanes = [f32; PANEL_ROWS];

/// `P` panels of four rows, adjacent in memory, times `T` tokens from `token` on. A kernel shares what it unpacks: weights between tokens,
/// activations between panels.
pub trait Kernel {
    /// Shown to users: `scalar`, `simd128`, `relaxed`.
    const NAME: &'static str;

    /// Q4_0 and Q4_1, which differ in where a block's minimum comes from.
    fn nibbles<const P: usize, const T: usize, const HAS_MINIMUM: bool>(panels: &[u8], x: &Activations, token: usize) -> [[Lanes; T]; P];

    /// Q8_0 without a code of -128.
    fn bytes<const P: usize, const T: usize>(panels: &[u8], x: &Activations, token: usize) -> [[Lanes; T]; P];

    /// Q8_0, see [`Matrix::has_lowest_code`].
    fn any_bytes<const P: usize, const T: usize>(panels: &[u8], x: &Activations, token: usize) -> [[Lanes; T]; P];

    /// I8 in groups without a code of -128.
    fn groups<const P: usize, const T: usize>(panels: &[u8], x: &Activations, token: usize) -> [[Lanes; T]; P];

    /// I8 in groups.
    fn any_groups<const P: usize, const T: usize>(panels: &[u8], x: &Activations, token: usize) -> [[Lanes; T]; P];

    /// Four rows of int8 codes, interleaved by four columns (`columns * 4` bytes, none of them -128), times `T` rows of int8 codes that
    /// lie `stride` apart: attention's keys times queries. Exact.
    fn codes<const T: usize>(panel: &[i8], queries: &[i8], stride: usize) -> [[i32; PANEL_ROWS]; T];
}

/// Tokens computed together, so that a panel is unpacked once for all of them.
const TILE: usize = 4;
/// Panels computed together for a single token, so that its activations are loaded once for all of them.
const GROUP: usize = 4;

/// `y[token, row - rows.start] = sum over columns of w[row, column] * x[token, column]` for the given rows, which must start at a panel.
/// `y` is `[tokens, stride]` with `stride` at least `rows.len()` rounded up to whole panels: the padding is overwritten.
///
/// What int8 codes cannot hold, of weights or of spike counts, is added afterwards in f32, column by column.
pub fn product<K: Kernel>(w: &Matrix, rows: Range<usize>, x: &Activations, y: &mut [f32], stride: usize) {
    products_of_codes::<K>(w, rows.clone(), x, y, stride);
    if !w.kind().is_quantised() {
        return;
    }
    for (token, y) in y.chunks_exact_mut(stride).take(x.tokens()).enumerate() {
        if x.is_wide(token) {
            for (column, rest) in x.beyond_codes(token) {
                w.add_column(column, rows.clone(), rest, y);
            }
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
        TensorType::Q4_0 => {
            each_panel(w, panels, x, out, K::nibbles::<1, 1, false>, K::nibbles::<GROUP, 1, false>, K::nibbles::<1, TILE, false>)
        }
        TensorType::Q4_1 => {
            each_panel(w, panels, x, out, K::nibbles::<1, 1, true>, K::nibbles::<GROUP, 1, true>, K::nibbles::<1, TILE, true>)
        }
        TensorType::Q8_0 if w.has_lowest_code() => {
            each_panel(w, panels, x, out, K::any_bytes::<1, 1>, K::any_bytes::<GROUP, 1>, K::any_bytes::<1, TILE>);
        }
        TensorType::Q8_0 => each_panel(w, panels, x, out, K::bytes::<1, 1>, K::bytes::<GROUP, 1>, K::bytes::<1, TILE>),
        TensorType::I8 if w.has_lowest_code() => {
            each_panel(w, panels, x, out, K::any_groups::<1, 1>, K::any_groups::<GROUP, 1>, K::any_groups::<1, TILE>);
        }
        TensorType::I8 => each_panel(w, panels, x, out, K::groups::<1, 1>, K::groups::<GROUP, 1>, K::groups::<1, TILE>),
        // `Matrix::new` makes none.
        TensorType::I32 => {}
        TensorType::F32 => each_panel(w, panels, x, out, floats::<f32, 4, 1, 1>, floats::<f32, 4, GROUP, 1>, floats::<f32, 4, 1, TILE>),
        TensorType::F16 => each_panel(w, panels, x, out, floats::<f16, 2, 1, 1>, floats::<f16, 2, GROUP, 1>, floats::<f16, 2, 1, TILE>),
        TensorType::Bf16 => each_panel(w, panels, x, out, floats::<bf16, 2, 1, 1>, floats::<bf16, 2, GROUP, 1>, floats::<bf16, 2, 1, TILE>),
    }
}

struct Output<'a> {
    y: &'a mut [f32],
    stride: usize,
}

impl Output<'_> {
    #[inline(always)]
    fn put<const P: usize, const T: usize>(&mut self, panel: usize, token: usize, sums: &[[Lanes; T]; P]) {
        for (p, sums) in sums.iter().enumerate() {
            for (t, lanes) in sums.iter().enumerate() {
                let at = (token + t) * self.stride + (panel + p) * PANEL_ROWS;
                self.y[at..at + PANEL_ROWS].copy_from_slice(lanes);
            }
        }
    }
}

/// The loop around a kernel. Not inlined: a function for each type keeps its registers to itself.
#[inline(never)]
fn each_panel(
    w: &Matrix,
    panels: Range<usize>,
    x: &Activations,
    mut out: Output<'_>,
    one: impl Fn(&[u8], &Activations, usize) -> [[Lanes; 1]; 1],
    group: impl Fn(&[u8], &Activations, usize) -> [[Lanes; 1]; GROUP],
    tile: impl Fn(&[u8], &Activations, usize) -> [[Lanes; TILE]; 1],
) {
    let tiled = x.tokens() / TILE * TILE;
    let count = panels.len();
    for at in (0..count).step_by(GROUP) {
        let end = (at + GROUP).min(count);
        for panel in at..end {
            let bytes = w.panels_at(panels.start + panel, 1);
            for token in (0..tiled).step_by(TILE) {
                out.put(panel, token, &tile(bytes, x, token));
            }
        }
        for token in tiled..x.tokens() {
            if end - at == GROUP {
                out.put(at, token, &group(w.panels_at(panels.start + at, GROUP), x, token));
            } else {
                for panel in at..end {
                    out.put(panel, token, &one(w.panels_at(panels.start + panel, 1), x, token));
                }
            }
        }
    }
}
