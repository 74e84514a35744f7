//! WebAssembly vectors, with and without the relaxed dot product.
//!
//! `relaxed_dot_i8x16_i7x16` is only defined when its second operand is in 0..=127, which nibbles are. Bytes of either sign are widened to
//! 16 bits, or they meet the codes above and below zero apart. So no result depends on the host's choice, and all kernels equal the scalar
//! one.
//!
//! `relaxed_dot_i8x16_i7x16_add` sums four products in 32 bits. Where it is one instruction (AVX-VNNI, ARM's dot product), it is the faster
//! one, and else, V8 before 13 included, the slower one. A host shows which by what it makes of an operand beyond 127: only where two
//! products are summed in 16 bits first is their sum cut off there.
//!
//! Hosts have sixteen registers. The loop within a block is kept a loop: unrolled, the compiler moves all loads to its beginning, and what
//! does not fit the registers goes through memory. How often it runs is therefore a number that the compiler cannot tell.

mod attention;
mod bytes;
mod codes;
mod column;
mod exponentials;
mod floats;
mod packing;
mod pairs;

use super::packed::Bytes;
use super::{Activations, Kernel, Lanes, MIX_COLUMNS, Output};
use crate::weights::tensor_type::BLOCK;
use crate::weights::{Matrix, TensorType};
use core::arch::wasm32::*;
use core::hint::black_box;
use core::mem::MaybeUninit;
use core::ops::Range;

/// Baseline SIMD: every current host.
#[cfg(not(target_feature = "relaxed-simd"))]
#[derive(Debug)]
pub struct Simd128;

/// Relaxed SIMD: workerd, Node 22, Chromium.
#[cfg(target_feature = "relaxed-simd")]
#[derive(Debug)]
pub struct Relaxed;

/// Relaxed SIMD on hosts that sum four products of bytes in one instruction.
#[cfg(target_feature = "relaxed-simd")]
#[derive(Debug)]
pub struct RelaxedFours;

/// Sums of the products of a block's nibbles with int8 codes, four codes to a row and four rows to a vector.
trait Dot {
    /// What eight vectors of products are summed in: sixteen products of at most 15 * 127 fit 16 bits.
    type Sum: Copy;
    const NONE: Self::Sum;
    /// Whether the sums of two panels and four tokens leave registers for what they are made of.
    const IN_PAIRS: bool;
    /// Adds `w * a` where `w` is in 0..=15; at most eight times.
    fn add(sum: Self::Sum, w: v128, a: v128) -> Self::Sum;
    /// A 32-bit lane for each row.
    fn finish(sum: Self::Sum) -> v128;
}

const ZERO: v128 = i32x4(0, 0, 0, 0);

#[cfg(not(target_feature = "relaxed-simd"))]
impl Dot for Simd128 {
    /// Products of rows 0 and 1, products of rows 2 and 3.
    type Sum = (v128, v128);
    const NONE: Self::Sum = (ZERO, ZERO);
    const IN_PAIRS: bool = false;

    #[inline(always)]
    fn add((low, high): Self::Sum, w: v128, a: v128) -> Self::Sum {
        (i16x8_add(low, i16x8_extmul_low_i8x16(w, a)), i16x8_add(high, i16x8_extmul_high_i8x16(w, a)))
    }

    #[inline(always)]
    fn finish((low, high): Self::Sum) -> v128 {
        pairs(i32x4_extadd_pairwise_i16x8(low), i32x4_extadd_pairwise_i16x8(high))
    }
}

#[cfg(target_feature = "relaxed-simd")]
impl Dot for Relaxed {
    /// Pairs of products: a row has two lanes.
    type Sum = v128;
    const NONE: v128 = ZERO;
    const IN_PAIRS: bool = true;

    #[inline(always)]
    fn add(sum: v128, w: v128, a: v128) -> v128 {
        // The 16-bit form is one instruction on x86.
        i16x8_add(sum, i16x8_relaxed_dot_i8x16_i7x16(a, w))
    }

    #[inline(always)]
    fn finish(sum: v128) -> v128 {
        i32x4_extadd_pairwise_i16x8(sum)
    }
}

/// Sums of neighbouring lanes: two of `low`, two of `high`.
#[inline(always)]
fn pairs(low: v128, high: v128) -> v128 {
    i32x4_add(i32x4_shuffle::<0, 2, 4, 6>(low, high), i32x4_shuffle::<1, 3, 5, 7>(low, high))
}

/// Four f16 at `at` as f32: the exponent is rebased by a multiplication, which is exact, subnormals included; the copies of the sign that an
/// extension to 32 bits makes are masked but for the last. The loader has refused infinities and NaN.
#[inline(always)]
unsafe fn halves(at: *const u8) -> v128 {
    // SAFETY: the caller passes eight readable bytes.
    let bits = unsafe { i32x4_load_extend_i16x4(at.cast()) };
    f32x4_mul(v128_and(i32x4_shl(bits, 13), u32x4_splat(0x8fff_e000)), f32x4_splat(f32::from_bits((127 + 112) << 23)))
}

#[inline(always)]
fn lanes(vector: v128) -> Lanes {
    [f32x4_extract_lane::<0>(vector), f32x4_extract_lane::<1>(vector), f32x4_extract_lane::<2>(vector), f32x4_extract_lane::<3>(vector)]
}

/// `d * x * sum`, where `sum` is of integers.
#[inline(always)]
unsafe fn scaled(sum: v128, d: v128, x: *const f32) -> v128 {
    // SAFETY: the caller passes a readable scale.
    f32x4_mul(f32x4_convert_i32x4(sum), f32x4_mul(d, unsafe { v128_load32_splat(x.cast()) }))
}

#[inline(always)]
fn nibbles<D: Dot, const T: usize, const HAS_MINIMUM: bool>(panel: &[u8], x: &Activations, token: usize) -> [Lanes; T] {
    let head = if HAS_MINIMUM { 16 } else { 8 };
    let blocks = x.blocks();
    assert!(panel.len() == blocks * (head + 64), "a panel holds its matrix's columns");
    let mut records: *const Bytes = x.bytes::<T>(token).as_ptr();
    let mut block = panel.as_ptr();
    let mut totals = [f32x4_splat(0.0); T];
    let steps = black_box(BLOCK / 8);
    for _ in 0..blocks {
        let mut sums = [D::NONE; T];
        // SAFETY: the panel's length has been compared with `blocks` above, and there are `T` records for each block; every offset below
        // stays within a block (`head + 64` bytes) or a record of token `t`.
        unsafe {
            for i in 0..steps {
                let packed = v128_load(block.add(head + i * 16).cast());
                // A shift of 16-bit lanes and a mask: the shift of bytes is five instructions on x86.
                let (low, high) = (v128_and(packed, u8x16_splat(15)), v128_and(u16x8_shr(packed, 4), u8x16_splat(15)));
                for (t, sum) in sums.iter_mut().enumerate() {
                    let codes = (*records.add(t)).codes.as_ptr();
                    *sum = D::add(*sum, low, v128_load32_splat(codes.add(i * 4).cast()));
                    *sum = D::add(*sum, high, v128_load32_splat(codes.add(16 + i * 4).cast()));
                }
            }
            let d = halves(block);
            let m = if HAS_MINIMUM { halves(block.add(8)) } else { f32x4_mul(d, f32x4_splat(-8.0)) };
            for (t, (sum, total)) in sums.iter().zip(&mut totals).enumerate() {
                let record = &*records.add(t);
                *total = f32x4_add(*total, scaled(D::finish(*sum), d, &raw const record.scale));
                *total = f32x4_add(*total, f32x4_mul(m, v128_load32_splat((&raw const record.sum).cast())));
            }
            block = block.add(head + 64);
            records = records.add(T);
        }
    }
    totals.map(lanes)
}

#[cfg(target_feature = "relaxed-simd")]
impl Dot for RelaxedFours {
    type Sum = v128;
    const NONE: v128 = ZERO;
    const IN_PAIRS: bool = true;

    #[inline(always)]
    fn add(sum: v128, w: v128, a: v128) -> v128 {
        i32x4_relaxed_dot_i8x16_i7x16_add(a, w, sum)
    }

    #[inline(always)]
    fn finish(sum: v128) -> v128 {
        sum
    }
}

/// Whether four products are summed as they are; see the head of this file.
#[cfg(target_feature = "relaxed-simd")]
#[inline(always)]
fn sums_fours() -> bool {
    let cut_off = 2 * i32::from(i16::MAX);
    i32x4_extract_lane::<0>(i32x4_relaxed_dot_i8x16_i7x16_add(i8x16_splat(black_box(127)), i8x16_splat(black_box(-1)), ZERO)) != cut_off
}

macro_rules! kernel {
    ($kernel:ident, $name:literal, $meet:path, $fours:ident, { $($more:item)* }) => {
        impl Kernel for $kernel {
            const NAME: &'static str = $name;
            type Fours = $fours;

            $($more)*

            #[inline(always)]
            fn nibbles<const T: usize, const HAS_MINIMUM: bool>(panel: &[u8], x: &Activations, token: usize) -> [Lanes; T] {
                nibbles::<Self, T, HAS_MINIMUM>(panel, x, token)
            }

            #[inline(always)]
            fn pairs<const HAS_MINIMUM: bool>(w: &Matrix, panels: Range<usize>, x: &Activations, out: &mut Output<'_>) -> usize {
                pairs::pairs::<Self, HAS_MINIMUM>(w, panels, x, out)
            }

            #[inline(always)]
            fn bytes<const T: usize>(panel: &[u8], x: &Activations, token: usize) -> [Lanes; T] {
                bytes::bytes::<$meet, T>(panel, x, token)
            }

            #[inline(always)]
            fn groups<const T: usize>(panel: &[u8], x: &Activations, token: usize) -> [Lanes; T] {
                bytes::groups::<$meet, T>(panel, x, token)
            }

            #[inline(always)]
            fn half_floats<const T: usize>(panel: &[u8], x: &Activations, token: usize) -> [Lanes; T] {
                floats::half_floats::<T>(panel, x, token)
            }

            #[inline(always)]
            fn column(kind: TensorType, panel: &[u8], column: usize) -> Lanes {
                column::column(kind, panel, column)
            }

            fn pack<'a>(
                kind: TensorType,
                rows: &[u8],
                step: usize,
                row_bytes: usize,
                panels: &'a mut [MaybeUninit<u8>],
            ) -> Option<&'a mut [u8]> {
                packing::pack(kind, rows, step, row_bytes, panels)
            }

            #[inline(always)]
            fn scores<const T: usize>(
                keys: &[i8],
                key_scales: &[f32],
                queries: &[i16],
                query_scales: &[f32],
                out: &mut [f32],
                stride: usize,
            ) {
                attention::scores::<$meet, T>(keys, key_scales, queries, query_scales, out, stride);
            }

            #[inline(always)]
            fn mix<const R: usize>(
                weights: &[f32],
                stride: usize,
                values: &[f32],
                width: usize,
                column: usize,
                out: &mut [[f32; MIX_COLUMNS]; R],
            ) {
                attention::mix::<R>(weights, stride, values, width, column, out);
            }

            #[inline(always)]
            fn mix_codes<const R: usize>(weights: &[i16], worths: &[f32; R], values: &[i8], out: &mut [[f32; MIX_COLUMNS]; R]) {
                attention::mix_codes::<R>(weights, worths, values, out);
            }

            #[inline(always)]
            fn weigh(weights: &[f32], scales: &[f32], codes: &mut [i16], rests: &mut [i16]) -> f32 {
                attention::weigh(weights, scales, codes, rests)
            }

            #[inline(always)]
            fn largest(values: &[f32]) -> f32 {
                codes::largest(values)
            }

            #[inline(always)]
            fn round(values: &[f32], factor: f32, codes: &mut [i8]) {
                codes::round(values, factor, codes);
            }

            #[inline(always)]
            fn magnitudes(row: &[f32]) -> (f64, f32) {
                codes::magnitudes(row)
            }

            #[inline(always)]
            fn count(row: &mut [f32], threshold: f32, largest: f32, codes: &mut [i8]) {
                codes::count(row, threshold, largest, codes);
            }

            #[inline(always)]
            fn exp(x: &mut [f32]) {
                exponentials::exp_all(x);
            }

            #[inline(always)]
            fn softmax(scores: &mut [f32]) -> (f32, f32) {
                exponentials::softmax(scores)
            }

            #[inline(always)]
            fn gated(gate: &[f32], up: &[f32], out: &mut [f32]) {
                exponentials::gated(gate, up, out);
            }
        }
    };
}

#[cfg(not(target_feature = "relaxed-simd"))]
kernel!(Simd128, "simd128", bytes::Widened, Simd128, {});
#[cfg(target_feature = "relaxed-simd")]
kernel!(Relaxed, "relaxed", bytes::Widened, RelaxedFours, {
    #[inline(always)]
    fn sums_fours() -> bool {
        sums_fours()
    }
});
#[cfg(target_feature = "relaxed-simd")]
kernel!(RelaxedFours, "relaxed", bytes::BySign, RelaxedFours, {
    fn load(codes: &[i8], loaded: &mut [i16]) {
        for (loaded, codes) in loaded.chunks_exact_mut(4).zip(codes.chunks(4)) {
            let (mut above, mut below) = ([0; 4], [0; 4]);
            for (at, code) in codes.iter().enumerate() {
                (above[at], below[at]) = ((*code).max(0).cast_unsigned(), (*code).min(0).unsigned_abs());
            }
            for (pair, loaded) in loaded.iter_mut().enumerate() {
                let of = if pair < 2 { &above } else { &below };
                *loaded = i16::from_le_bytes([of[pair % 2 * 2], of[pair % 2 * 2 + 1]]);
            }
        }
    }
});
