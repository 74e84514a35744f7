//! Numbers become codes, by rounding or by firing, to the very bits of the definitions.

use super::super::{Kernel, SUMS, Scalar, WHOLE, magnitudes_together};
use crate::spike::LARGEST_CODE;
use core::arch::wasm32::*;

/// Numbers that become a vector of codes.
const CODES: usize = 16;

/// See [`Kernel::largest`].
#[inline(always)]
pub(super) fn largest(values: &[f32]) -> f32 {
    let mut most = [f32x4_splat(0.0); 2];
    let chunks = values.chunks_exact(8);
    let rest = chunks.remainder();
    for chunk in chunks {
        // SAFETY: a chunk has eight numbers.
        let [low, high] = unsafe { [v128_load(chunk.as_ptr().cast()), v128_load(chunk.as_ptr().add(4).cast())] };
        // In this order of operands what is no number is passed over.
        most = [f32x4_pmax(most[0], f32x4_abs(low)), f32x4_pmax(most[1], f32x4_abs(high))];
    }
    let four = super::lanes(f32x4_pmax(most[0], most[1]));
    four.into_iter().chain([Scalar::largest(rest)]).fold(0.0, |a, b| if b > a { b } else { a })
}

/// See [`Kernel::round`].
#[inline(always)]
pub(super) fn round(values: &[f32], factor: f32, codes: &mut [i8]) {
    let whole = values.len().min(codes.len()) / CODES * CODES;
    let (factors, low_bits) = (f32x4_splat(factor), i32x4_splat(0xff));
    for (values, codes) in values[..whole].chunks_exact(CODES).zip(codes.chunks_exact_mut(CODES)) {
        // SAFETY: there are sixteen numbers, and as many codes.
        unsafe {
            let four = |at: usize| {
                let product = f32x4_mul(v128_load(values.as_ptr().add(at).cast()), factors);
                v128_and(f32x4_add(product, f32x4_splat(WHOLE)), low_bits)
            };
            let vector = u8x16_narrow_i16x8(i16x8_narrow_i32x4(four(0), four(4)), i16x8_narrow_i32x4(four(8), four(12)));
            v128_store(codes.as_mut_ptr().cast(), vector);
        }
    }
    Scalar::round(&values[whole..], factor, &mut codes[whole..]);
}

/// See [`Kernel::magnitudes`].
pub(super) fn magnitudes(row: &[f32]) -> (f64, f32) {
    let mut sums = [f64x2_splat(0.0); SUMS / 2];
    let mut most = [f32x4_splat(0.0); SUMS / 4];
    let chunks = row.chunks_exact(SUMS);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (half, most) in most.iter_mut().enumerate() {
            // SAFETY: a chunk has eight numbers.
            let x = f32x4_abs(unsafe { v128_load(chunk.as_ptr().add(4 * half).cast()) });
            *most = f32x4_pmax(*most, x);
            sums[2 * half] = f64x2_add(sums[2 * half], f64x2_promote_low_f32x4(x));
            let upper = i64x2_shuffle::<1, 1>(x, x);
            sums[2 * half + 1] = f64x2_add(sums[2 * half + 1], f64x2_promote_low_f32x4(upper));
        }
    }
    let (mut all_sums, mut all_most) = ([0.0; SUMS], [0.0; SUMS]);
    for (vector, out) in sums.into_iter().zip(all_sums.chunks_exact_mut(2)) {
        out.copy_from_slice(&[f64x2_extract_lane::<0>(vector), f64x2_extract_lane::<1>(vector)]);
    }
    for (vector, out) in most.into_iter().zip(all_most.chunks_exact_mut(4)) {
        out.copy_from_slice(&super::lanes(vector));
    }
    magnitudes_together(&all_sums, &all_most, rest)
}

/// Whole numbers below this stand in the low bits of what they are with [`WHOLE`] added.
const LARGEST_WHOLE: f32 = 4_194_304.0;

/// See [`Kernel::count`]. Codes become such by narrowing, which cuts off by itself; where a multiple is too large for that, or no number, the
/// oracle counts.
pub(super) fn count(row: &mut [f32], threshold: f32, largest: f32, codes: &mut [i8]) {
    let is_whole = largest < LARGEST_WHOLE;
    let whole = if is_whole { row.len().min(codes.len()) / CODES * CODES } else { 0 };
    let (thresholds, bits) = (f32x4_splat(threshold), f32x4_splat(WHOLE));
    for (numbers, codes) in row[..whole].chunks_exact_mut(CODES).zip(codes.chunks_exact_mut(CODES)) {
        let four = |at: usize, numbers: &mut [f32]| {
            // SAFETY: there are sixteen numbers, and `at` is at most 12.
            unsafe {
                let place: *mut v128 = numbers.as_mut_ptr().add(at).cast();
                let counts = f32x4_nearest(f32x4_div(v128_load(place), thresholds));
                v128_store(place, f32x4_mul(thresholds, counts));
                i32x4_sub(f32x4_add(counts, bits), bits)
            }
        };
        let [a, b, c, d] = [four(0, numbers), four(4, numbers), four(8, numbers), four(12, numbers)];
        let vector = i8x16_narrow_i16x8(i16x8_narrow_i32x4(a, b), i16x8_narrow_i32x4(c, d));
        // SAFETY: there are sixteen codes.
        unsafe { v128_store(codes.as_mut_ptr().cast(), i8x16_max(vector, i8x16_splat(-LARGEST_CODE as i8))) };
    }
    Scalar::count(&mut row[whole..], threshold, largest, &mut codes[whole..]);
}
