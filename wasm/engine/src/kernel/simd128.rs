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

mod codes;
mod exponentials;

use super::packed::{Bytes, Words};
use super::{Activations, Kernel, Lanes, MIX_COLUMNS};
use crate::weights::matrix::{GROUP_PANEL_BYTES, PANEL_ROWS};
use crate::weights::tensor_type::{BLOCK, GROUP};
use core::arch::wasm32::*;
use core::hint::black_box;

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
    /// Adds `w * a` where `w` is in 0..=15; at most eight times.
    fn add(sum: Self::Sum, w: v128, a: v128) -> Self::Sum;
    /// A 32-bit lane for each row.
    fn finish(sum: Self::Sum) -> v128;
}

/// Sums of the products of bytes of either sign, four columns of a panel at a time.
trait Meet {
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

const ZERO: v128 = i32x4(0, 0, 0, 0);

#[cfg(not(target_feature = "relaxed-simd"))]
impl Dot for Simd128 {
    /// Products of rows 0 and 1, products of rows 2 and 3.
    type Sum = (v128, v128);
    const NONE: Self::Sum = (ZERO, ZERO);

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

/// Bytes widened to 16 bits: rows 0 and 1, rows 2 and 3, two lanes each.
struct Widened;

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
struct BySign;

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

#[cfg(target_feature = "relaxed-simd")]
impl Dot for RelaxedFours {
    type Sum = v128;
    const NONE: v128 = ZERO;

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

#[inline(always)]
fn bytes<M: Meet, const T: usize>(panel: &[u8], x: &Activations, token: usize) -> [Lanes; T] {
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
fn groups<M: Meet, const T: usize>(panel: &[u8], x: &Activations, token: usize) -> [Lanes; T] {
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

/// F16 panels, see [`super::scalar::floats`].
#[inline(always)]
fn half_floats<const T: usize>(panel: &[u8], x: &Activations, token: usize) -> [Lanes; T] {
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

#[inline(always)]
fn scores<M: Meet, const T: usize>(panel: &[i8], key_scales: &[f32], queries: &[i16], query_scales: &[f32]) -> [Lanes; T] {
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
fn mix<const R: usize>(weights: &[f32], stride: usize, values: &[f32], width: usize, column: usize, out: &mut [[f32; MIX_COLUMNS]; R]) {
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
fn mix_codes<const R: usize>(
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
fn decode(codes: &[i8], scale: f32, out: &mut [f32]) {
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

macro_rules! kernel {
    ($kernel:ident, $name:literal, $meet:ident, $fours:ident, { $($more:item)* }) => {
        impl Kernel for $kernel {
            const NAME: &'static str = $name;
            type Fours = $fours;

            $($more)*

            #[inline(always)]
            fn nibbles<const T: usize, const HAS_MINIMUM: bool>(panel: &[u8], x: &Activations, token: usize) -> [Lanes; T] {
                nibbles::<Self, T, HAS_MINIMUM>(panel, x, token)
            }

            #[inline(always)]
            fn bytes<const T: usize>(panel: &[u8], x: &Activations, token: usize) -> [Lanes; T] {
                bytes::<$meet, T>(panel, x, token)
            }

            #[inline(always)]
            fn groups<const T: usize>(panel: &[u8], x: &Activations, token: usize) -> [Lanes; T] {
                groups::<$meet, T>(panel, x, token)
            }

            #[inline(always)]
            fn half_floats<const T: usize>(panel: &[u8], x: &Activations, token: usize) -> [Lanes; T] {
                half_floats::<T>(panel, x, token)
            }

            #[inline(always)]
            fn scores<const T: usize>(panel: &[i8], key_scales: &[f32], queries: &[i16], query_scales: &[f32]) -> [Lanes; T] {
                scores::<$meet, T>(panel, key_scales, queries, query_scales)
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
                mix::<R>(weights, stride, values, width, column, out);
            }

            #[inline(always)]
            fn mix_codes<const R: usize>(
                weights: &[f32],
                stride: usize,
                values: (&[i8], &[f32]),
                width: usize,
                column: usize,
                out: &mut [[f32; MIX_COLUMNS]; R],
            ) {
                mix_codes::<R>(weights, stride, values, width, column, out);
            }

            #[inline(always)]
            fn decode(codes: &[i8], scale: f32, out: &mut [f32]) {
                decode(codes, scale, out);
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
            fn count(row: &mut [f32], threshold: f32, codes: &mut [i8]) {
                codes::count(row, threshold, codes);
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
kernel!(Simd128, "simd128", Widened, Simd128, {});
#[cfg(target_feature = "relaxed-simd")]
kernel!(Relaxed, "relaxed", Widened, RelaxedFours, {
    #[inline(always)]
    fn sums_fours() -> bool {
        sums_fours()
    }
});
#[cfg(target_feature = "relaxed-simd")]
kernel!(RelaxedFours, "relaxed", BySign, RelaxedFours, {
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
