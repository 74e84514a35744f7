//! Products of half-precision weights.

use super::super::{Activations, Lanes};
use super::{halves, lanes};
use crate::weights::matrix::PANEL_ROWS;
use core::arch::wasm32::*;

/// F16 panels, see [`crate::kernel::scalar::floats`].
#[inline(always)]
pub(super) fn half_floats<const T: usize>(panel: &[u8], x: &Activations, token: usize) -> [Lanes; T] {
    const COLUMN_BYTES: usize = 2 * PANEL_ROWS;
    let columns = x.columns();
    assert!(panel.len() == columns * COLUMN_BYTES, "a panel holds its matrix's columns");
    let values = x.values()[token * columns..(token + T) * columns].as_ptr();
    // By column modulo 4.
    let [mut a, mut b, mut c, mut d] = [[f32x4_splat(0.0); T]; 4];
    let whole = columns / 4 * 4;
    // SAFETY: columns are below `columns`, which the lengths of the panel and of `T` tokens' values have been compared with.
    unsafe {
        let at = |column: usize| (panel.as_ptr().add(column * COLUMN_BYTES), values.add(column));
        for column in (0..whole).step_by(4) {
            add_column(&mut a, at(column), columns);
            add_column(&mut b, at(column + 1), columns);
            add_column(&mut c, at(column + 2), columns);
            add_column(&mut d, at(column + 3), columns);
        }
        for (sum, column) in [&mut a, &mut b, &mut c].into_iter().zip(whole..columns) {
            add_column(sum, at(column), columns);
        }
    }
    core::array::from_fn(|t| lanes(f32x4_add(f32x4_add(a[t], b[t]), f32x4_add(c[t], d[t]))))
}

/// Adds the products of a column, four f16, with the values of `T` tokens, which lie `stride` apart.
#[inline(always)]
unsafe fn add_column<const T: usize>(sums: &mut [v128; T], (w, x): (*const u8, *const f32), stride: usize) {
    // SAFETY: the caller passes eight readable bytes, and as many values as are read here.
    unsafe {
        let w = halves(w);
        for (t, sum) in sums.iter_mut().enumerate() {
            *sum = f32x4_add(*sum, f32x4_mul(w, v128_load32_splat(x.add(t * stride).cast())));
        }
    }
}
