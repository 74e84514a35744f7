//! Keys with queries, weights with values.

use super::super::{Kernel, LARGEST_WEIGHT, LEAST_WEIGHT, REST, Scalar, WHOLE};
use super::bytes::Meet;
use super::{MIX_COLUMNS, lanes, scaled};
use crate::math::greater;
use crate::weights::matrix::PANEL_ROWS;
use core::arch::wasm32::*;
use core::hint::black_box;

#[inline(always)]
pub(super) fn scores<M: Meet, const T: usize>(
    keys: &[i8],
    key_scales: &[f32],
    queries: &[i16],
    query_scales: &[f32],
    out: &mut [f32],
    stride: usize,
) {
    let panels = key_scales.len() / PANEL_ROWS;
    let fours = keys.len() / panels.max(1) / 16;
    let width = fours * 4;
    assert!(query_scales.len() >= T && queries.len() >= T * width, "queries hold T rows of the panels' columns");
    assert!(out.len() >= (T - 1) * stride + panels * PANEL_ROWS, "room for the scores of T rows");
    // SAFETY: `four` is below the 16-byte groups of a panel, of which there are `panels`, and the other lengths have been checked above.
    unsafe {
        for panel in 0..panels {
            let keys = keys.as_ptr().add(panel * fours * 16);
            let mut sums = [M::NONE; T];
            for four in 0..fours {
                let keys = M::weights(keys.add(four * 16).cast());
                for (t, sum) in sums.iter_mut().enumerate() {
                    *sum = M::add(*sum, keys, queries.as_ptr().add(t * width + four * 4));
                }
            }
            let d = v128_load(key_scales.as_ptr().add(panel * PANEL_ROWS).cast());
            for (t, sum) in sums.into_iter().enumerate() {
                let scores = scaled(M::finish(sum), d, query_scales.as_ptr().add(t));
                v128_store(out.as_mut_ptr().add(t * stride + panel * PANEL_ROWS).cast(), scores);
            }
        }
    }
}

#[inline(always)]
pub(super) fn mix<const R: usize>(
    weights: &[f32],
    stride: usize,
    values: &[f32],
    width: usize,
    column: usize,
    out: &mut [[f32; MIX_COLUMNS]; R],
) {
    let tokens = values.len() / width;
    assert!(
        column + MIX_COLUMNS <= width && (tokens == 0 || weights.len() >= (R - 1) * stride + tokens),
        "a weight for each row and token"
    );
    // SAFETY: `token` is below the tokens that values and weights have been compared with above, and `out` holds two vectors a row.
    unsafe {
        let mut sums: [[v128; 2]; R] = core::array::from_fn(|r| {
            let row = out[r].as_ptr();
            [v128_load(row.cast()), v128_load(row.add(4).cast())]
        });
        for token in 0..tokens {
            let at = values.as_ptr().add(token * width + column);
            let (low, high) = (v128_load(at.cast()), v128_load(at.add(4).cast()));
            for (r, sum) in sums.iter_mut().enumerate() {
                let weight = v128_load32_splat(weights.as_ptr().add(r * stride + token).cast());
                *sum = [f32x4_add(sum[0], f32x4_mul(weight, low)), f32x4_add(sum[1], f32x4_mul(weight, high))];
            }
        }
        for (out, sum) in out.iter_mut().zip(sums) {
            v128_store(out.as_mut_ptr().cast(), sum[0]);
            v128_store(out.as_mut_ptr().add(4).cast(), sum[1]);
        }
    }
}

#[inline(always)]
pub(super) fn mix_codes<const R: usize>(weights: &[i16], worths: &[f32; R], values: &[i8], out: &mut [[f32; MIX_COLUMNS]; R]) {
    let tokens = weights.len() / R;
    assert!(tokens.is_multiple_of(2) && values.len() == tokens * MIX_COLUMNS, "a weight for each row and token, in whole pairs");
    let mut sums = [[i32x4_splat(0); 2]; R];
    let pairs = black_box(tokens / 2);
    // SAFETY: `pair` is below half of the tokens that values and weights have been compared with above, and `out` holds two vectors a row.
    unsafe {
        for pair in 0..pairs {
            let at = values.as_ptr().add(2 * MIX_COLUMNS * pair);
            // Four columns of two tokens.
            let (low, high) = (i16x8_load_extend_i8x8(at), i16x8_load_extend_i8x8(at.add(8)));
            for (r, sum) in sums.iter_mut().enumerate() {
                let two = v128_load32_splat(weights.as_ptr().add(r * tokens + 2 * pair).cast());
                *sum = [i32x4_add(sum[0], i32x4_dot_i16x8(low, two)), i32x4_add(sum[1], i32x4_dot_i16x8(high, two))];
            }
        }
        for ((out, sum), worth) in out.iter_mut().zip(sums).zip(worths) {
            let worth = f32x4_splat(*worth);
            for (half, sum) in sum.into_iter().enumerate() {
                let at: *mut v128 = out.as_mut_ptr().add(4 * half).cast();
                v128_store(at, f32x4_add(v128_load(at), f32x4_mul(f32x4_convert_i32x4(sum), worth)));
            }
        }
    }
}

/// See [`Kernel::weigh`].
#[inline(always)]
pub(super) fn weigh(weights: &[f32], scales: &[f32], codes: &mut [i16], rests: &mut [i16]) -> f32 {
    const EIGHT: usize = 8;
    let tokens = codes.len();
    let even = tokens.is_multiple_of(EIGHT) && (rests.is_empty() || rests.len() == tokens);
    if !even || weights.len() < tokens || scales.len() < tokens {
        return Scalar::weigh(weights, scales, codes, rests);
    }
    // SAFETY: there are as many weights and scales as codes, and as many rests where there are any; `at` is below their number, by eights.
    unsafe {
        let four = |at: usize| f32x4_mul(v128_load(weights.as_ptr().add(at).cast()), v128_load(scales.as_ptr().add(at).cast()));
        let mut most = [f32x4_splat(0.0); 2];
        for at in (0..tokens).step_by(EIGHT) {
            // In this order of operands what is no number is passed over.
            most = [f32x4_pmax(most[0], four(at)), f32x4_pmax(most[1], four(at + 4))];
        }
        let largest = lanes(f32x4_pmax(most[0], most[1])).into_iter().fold(0.0, greater);
        if largest < LEAST_WEIGHT {
            return Scalar::weigh(weights, scales, codes, rests);
        }
        let (factors, whole) = (f32x4_splat(LARGEST_WEIGHT / largest), f32x4_splat(WHOLE));
        let nearest = |x: v128| f32x4_add(x, whole);
        let put = |codes: *mut i16, low: v128, high: v128| {
            v128_store(codes.cast(), i16x8_narrow_i32x4(i32x4_sub(low, whole), i32x4_sub(high, whole)));
        };
        for at in (0..tokens).step_by(EIGHT) {
            let exact = [at, at + 4].map(|at| f32x4_mul(four(at), factors));
            let [low, high] = exact.map(nearest);
            put(codes.as_mut_ptr().add(at), low, high);
            if !rests.is_empty() {
                let rest = |exact: v128, code: v128| {
                    let rest = f32x4_sub(exact, f32x4_sub(code, whole));
                    nearest(f32x4_mul(rest, f32x4_splat(1.0 / REST)))
                };
                put(rests.as_mut_ptr().add(at), rest(exact[0], low), rest(exact[1], high));
            }
        }
        largest / LARGEST_WEIGHT
    }
}
