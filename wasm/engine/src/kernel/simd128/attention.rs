//! Keys with queries, weights with values.

use super::bytes::Meet;
use super::{Lanes, MIX_COLUMNS, lanes, scaled};
use core::arch::wasm32::*;

#[inline(always)]
pub(super) fn scores<M: Meet, const T: usize>(panel: &[i8], key_scales: &[f32], queries: &[i16], query_scales: &[f32]) -> [Lanes; T] {
    let fours = panel.len() / 16;
    let width = fours * 4;
    assert!(key_scales.len() >= 4 && query_scales.len() >= T && queries.len() >= T * width, "queries hold T rows of the panel's columns");
    let mut sums = [M::NONE; T];
    // SAFETY: `four` is below the panel's 16-byte groups, and the other lengths have been checked above.
    unsafe {
        for four in 0..fours {
            let keys = M::weights(panel.as_ptr().add(four * 16).cast());
            for (t, sum) in sums.iter_mut().enumerate() {
                *sum = M::add(*sum, keys, queries.as_ptr().add(t * width + four * 4));
            }
        }
        let d = v128_load(key_scales.as_ptr().cast());
        core::array::from_fn(|t| lanes(scaled(M::finish(sums[t]), d, query_scales.as_ptr().add(t))))
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
pub(super) fn mix_codes<const R: usize>(
    weights: &[f32],
    stride: usize,
    (codes, scales): (&[i8], &[f32]),
    width: usize,
    column: usize,
    out: &mut [[f32; MIX_COLUMNS]; R],
) {
    let tokens = scales.len();
    assert!(
        column + MIX_COLUMNS <= width && codes.len() >= tokens * width && (tokens == 0 || weights.len() >= (R - 1) * stride + tokens),
        "codes, and a weight for each row and token"
    );
    // SAFETY: as in `mix`.
    unsafe {
        let mut sums: [[v128; 2]; R] = core::array::from_fn(|r| {
            let row = out[r].as_ptr();
            [v128_load(row.cast()), v128_load(row.add(4).cast())]
        });
        for token in 0..tokens {
            let [low, high] = worth(codes.as_ptr().add(token * width + column), v128_load32_splat(scales.as_ptr().add(token).cast()));
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

/// What eight codes are worth.
#[inline(always)]
unsafe fn worth(codes: *const i8, scales: v128) -> [v128; 2] {
    // SAFETY: the caller passes eight readable codes.
    let words = unsafe { i16x8_load_extend_i8x8(codes) };
    [i32x4_extend_low_i16x8(words), i32x4_extend_high_i16x8(words)].map(|codes| f32x4_mul(f32x4_convert_i32x4(codes), scales))
}

#[inline(always)]
pub(super) fn decode(codes: &[i8], scale: f32, out: &mut [f32]) {
    let (code_chunks, out_chunks) = (codes.chunks_exact(8), out.chunks_exact_mut(8));
    let whole = out_chunks.len() * 8;
    let scales = f32x4_splat(scale);
    for (codes, out) in code_chunks.zip(out_chunks) {
        // SAFETY: both hold eight elements.
        unsafe {
            let [low, high] = worth(codes.as_ptr(), scales);
            v128_store(out.as_mut_ptr().cast(), low);
            v128_store(out.as_mut_ptr().add(4).cast(), high);
        }
    }
    for (out, code) in out[whole..].iter_mut().zip(&codes[whole..]) {
        *out = f32::from(*code) * scale;
    }
}
