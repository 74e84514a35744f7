//! Products of bytes: Q8_0, and I8 in groups.

use super::super::packed::Words;
use super::super::{Activations, Lanes};
use super::{ZERO, halves, lanes, pairs, scaled};
use crate::weights::matrix::{GROUP_PANEL_BYTES, PANEL_ROWS};
use crate::weights::tensor_type::{BLOCK, GROUP};
use core::arch::wasm32::*;
use core::hint::black_box;

/// Sums of the products of bytes of either sign, four columns of a panel at a time.
pub(super) trait Meet {
    /// Sixteen bytes of a panel.
    type Weights: Copy;
    type Sum: Copy;
    const NONE: Self::Sum;
    /// `at` holds sixteen bytes.
    unsafe fn weights(at: *const u8) -> Self::Weights;
    /// `x` holds four codes as [`Kernel::load`] puts them.
    unsafe fn add(sum: Self::Sum, w: Self::Weights, x: *const i16) -> Self::Sum;
    /// A 32-bit lane for each row.
    fn finish(sum: Self::Sum) -> v128;
}

/// Bytes widened to 16 bits: rows 0 and 1, rows 2 and 3, two lanes each.
pub(super) struct Widened;

impl Meet for Widened {
    type Weights = (v128, v128);
    type Sum = (v128, v128);
    const NONE: Self::Sum = (ZERO, ZERO);

    #[inline(always)]
    unsafe fn weights(at: *const u8) -> Self::Weights {
        // SAFETY: see the trait.
        unsafe { (i16x8_load_extend_i8x8(at.cast()), i16x8_load_extend_i8x8(at.add(8).cast())) }
    }

    #[inline(always)]
    unsafe fn add((low, high): Self::Sum, (w_low, w_high): Self::Weights, x: *const i16) -> Self::Sum {
        // SAFETY: see the trait.
        let four = unsafe { v128_load64_splat(x.cast()) };
        (i32x4_add(low, i32x4_dot_i16x8(w_low, four)), i32x4_add(high, i32x4_dot_i16x8(w_high, four)))
    }

    #[inline(always)]
    fn finish((low, high): Self::Sum) -> v128 {
        pairs(low, high)
    }
}

/// Bytes as they are: with the codes above zero, and with those below, without their sign. Four of the first, then four of the second.
#[cfg(target_feature = "relaxed-simd")]
pub(super) struct BySign;

#[cfg(target_feature = "relaxed-simd")]
impl Meet for BySign {
    type Weights = v128;
    type Sum = (v128, v128);
    const NONE: Self::Sum = (ZERO, ZERO);

    #[inline(always)]
    unsafe fn weights(at: *const u8) -> v128 {
        // SAFETY: see the trait.
        unsafe { v128_load(at.cast()) }
    }

    #[inline(always)]
    unsafe fn add((above, below): Self::Sum, w: v128, x: *const i16) -> Self::Sum {
        // SAFETY: see the trait.
        let [of_above, of_below] = unsafe { [v128_load32_splat(x.cast()), v128_load32_splat(x.add(2).cast())] };
        (i32x4_relaxed_dot_i8x16_i7x16_add(w, of_above, above), i32x4_relaxed_dot_i8x16_i7x16_add(w, of_below, below))
    }

    #[inline(always)]
    fn finish((above, below): Self::Sum) -> v128 {
        i32x4_sub(above, below)
    }
}

#[inline(always)]
pub(super) fn bytes<M: Meet, const T: usize>(panel: &[u8], x: &Activations, token: usize) -> [Lanes; T] {
    const BLOCK_BYTES: usize = 2 * PANEL_ROWS + BLOCK * PANEL_ROWS;
    let blocks = x.blocks();
    assert!(panel.len() == blocks * BLOCK_BYTES, "a panel holds its matrix's columns");
    let mut records: *const Words = x.words::<T>(token).as_ptr();
    let mut block = panel.as_ptr();
    let mut totals = [f32x4_splat(0.0); T];
    let steps = black_box(BLOCK / 4);
    for _ in 0..blocks {
        // SAFETY: as in `nibbles`.
        unsafe {
            let sums = sums_of_block::<M, T>(block.add(2 * PANEL_ROWS), records, steps);
            add_scaled::<M, T>(&mut totals, &sums, halves(block), records);
            block = block.add(BLOCK_BYTES);
            records = records.add(T);
        }
    }
    totals.map(lanes)
}

/// The products of a block's bytes, `steps` times four columns of a panel, with those of `T` tokens.
#[inline(always)]
unsafe fn sums_of_block<M: Meet, const T: usize>(block: *const u8, records: *const Words, steps: usize) -> [M::Sum; T] {
    let mut sums = [M::NONE; T];
    for i in 0..steps {
        // SAFETY: the caller passes as many columns and records as are read here.
        unsafe {
            let weights = M::weights(block.add(i * 16));
            for (t, sum) in sums.iter_mut().enumerate() {
                *sum = M::add(*sum, weights, (*records.add(t)).codes.as_ptr().add(i * 4));
            }
        }
    }
    sums
}

/// Adds a block's sums, times its rows' scales `d` and the tokens'.
#[inline(always)]
unsafe fn add_scaled<M: Meet, const T: usize>(totals: &mut [v128; T], sums: &[M::Sum; T], d: v128, records: *const Words) {
    for (t, (sum, total)) in sums.iter().zip(totals).enumerate() {
        // SAFETY: the caller passes `T` records.
        *total = f32x4_add(*total, unsafe { scaled(M::finish(*sum), d, &raw const (*records.add(t)).scale) });
    }
}

#[inline(always)]
pub(super) fn groups<M: Meet, const T: usize>(panel: &[u8], x: &Activations, token: usize) -> [Lanes; T] {
    const BLOCK_BYTES: usize = BLOCK * PANEL_ROWS;
    let blocks = x.blocks();
    let panel_bytes = blocks.div_ceil(GROUP / BLOCK) * PANEL_ROWS * 4 + blocks * BLOCK_BYTES;
    assert!(panel.len() == panel_bytes, "a panel holds its matrix's columns");
    let mut records: *const Words = x.words::<T>(token).as_ptr();
    let mut totals = [f32x4_splat(0.0); T];
    let steps = black_box(BLOCK / 4);
    for index in 0..blocks {
        // SAFETY: as in `nibbles`, with the group of the block instead of its head.
        unsafe {
            let group = panel.as_ptr().add(index / (GROUP / BLOCK) * GROUP_PANEL_BYTES);
            let block = group.add(PANEL_ROWS * 4 + index % (GROUP / BLOCK) * BLOCK_BYTES);
            let sums = sums_of_block::<M, T>(block, records, steps);
            add_scaled::<M, T>(&mut totals, &sums, v128_load(group.cast()), records);
            records = records.add(T);
        }
    }
    totals.map(lanes)
}
