//! WebAssembly vectors, with and without the relaxed dot product.
//!
//! `relaxed_dot_i8x16_i7x16_add` is only defined when its second operand is in 0..=127. Nibbles are; for bytes, the absolute value of the
//! activation is, and its sign goes to the weight. So no result depends on the host's choice, and both kernels equal the scalar one.

use super::{Activations, Kernel, Lanes};
use crate::weights::matrix::{GROUP_PANEL_BYTES, PANEL_ROWS};
use crate::weights::tensor_type::{BLOCK, GROUP};
use core::arch::wasm32::*;

/// Baseline SIMD: every current host.
#[derive(Debug)]
pub struct Simd128;

/// Relaxed SIMD: workerd, Node 22, Chromium.
#[cfg(target_feature = "relaxed-simd")]
#[derive(Debug)]
pub struct Relaxed;

/// Sums of products of int8 codes, four codes to a row and four rows to a vector.
trait Dot {
    /// What eight products of nibbles are summed in.
    type NibbleSum: Copy;
    /// What any number of products of bytes is summed in.
    type ByteSum: Copy;
    const NO_NIBBLES: Self::NibbleSum;
    const NO_BYTES: Self::ByteSum;
    /// Adds `w * a` where `w` is in 0..=15; at most four times.
    fn nibbles(sum: Self::NibbleSum, w: v128, a: v128) -> Self::NibbleSum;
    /// Two such sums, a 32-bit lane for each row.
    fn finish_nibbles(a: Self::NibbleSum, b: Self::NibbleSum) -> v128;
    /// Adds `w * a` for any `w` but -128 (and for that too in `Simd128`).
    fn bytes(sum: Self::ByteSum, w: v128, a: v128) -> Self::ByteSum;
    /// A 32-bit lane for each row.
    fn finish_bytes(sum: Self::ByteSum) -> v128;
}

const ZERO: v128 = i32x4(0, 0, 0, 0);

impl Dot for Simd128 {
    /// Products of rows 0 and 1 in 16 bits, products of rows 2 and 3.
    type NibbleSum = (v128, v128);
    /// The same in pairs, in 32 bits.
    type ByteSum = (v128, v128);
    const NO_NIBBLES: Self::NibbleSum = (ZERO, ZERO);
    const NO_BYTES: Self::ByteSum = (ZERO, ZERO);

    #[inline(always)]
    fn nibbles((low, high): Self::NibbleSum, w: v128, a: v128) -> Self::NibbleSum {
        (i16x8_add(low, i16x8_extmul_low_i8x16(w, a)), i16x8_add(high, i16x8_extmul_high_i8x16(w, a)))
    }

    #[inline(always)]
    fn finish_nibbles(a: Self::NibbleSum, b: Self::NibbleSum) -> v128 {
        // |product| <= 15 * 127, so eight of them fit 16 bits.
        Self::finish_bytes((i32x4_extadd_pairwise_i16x8(i16x8_add(a.0, b.0)), i32x4_extadd_pairwise_i16x8(i16x8_add(a.1, b.1))))
    }

    #[inline(always)]
    fn bytes((low, high): Self::ByteSum, w: v128, a: v128) -> Self::ByteSum {
        (
            i32x4_add(low, i32x4_extadd_pairwise_i16x8(i16x8_extmul_low_i8x16(w, a))),
            i32x4_add(high, i32x4_extadd_pairwise_i16x8(i16x8_extmul_high_i8x16(w, a))),
        )
    }

    #[inline(always)]
    fn finish_bytes((low, high): Self::ByteSum) -> v128 {
        i32x4_add(i32x4_shuffle::<0, 2, 4, 6>(low, high), i32x4_shuffle::<1, 3, 5, 7>(low, high))
    }
}

#[cfg(target_feature = "relaxed-simd")]
impl Dot for Relaxed {
    /// Pairs of products in 16 bits: a row has two lanes.
    type NibbleSum = v128;
    /// A row has one lane of 32 bits.
    type ByteSum = v128;
    const NO_NIBBLES: v128 = ZERO;
    const NO_BYTES: v128 = ZERO;

    #[inline(always)]
    fn nibbles(sum: v128, w: v128, a: v128) -> v128 {
        // The 16-bit form is one instruction on x86; sixteen products of at most 15 * 127 fit.
        i16x8_add(sum, i16x8_relaxed_dot_i8x16_i7x16(a, w))
    }

    #[inline(always)]
    fn finish_nibbles(a: v128, b: v128) -> v128 {
        i32x4_extadd_pairwise_i16x8(i16x8_add(a, b))
    }

    #[inline(always)]
    fn bytes(sum: v128, w: v128, a: v128) -> v128 {
        let negative = i8x16_shr(a, 7);
        let signed = i8x16_sub(v128_xor(w, negative), negative);
        i32x4_relaxed_dot_i8x16_i7x16_add(signed, i8x16_abs(a), sum)
    }

    #[inline(always)]
    fn finish_bytes(sum: v128) -> v128 {
        sum
    }
}

/// Four f16 at `at` as f32: the exponent is rebased by a multiplication, which is exact, subnormals included. The loader has refused
/// infinities and NaN.
#[inline(always)]
unsafe fn halves(at: *const u8) -> v128 {
    // SAFETY: the caller passes eight readable bytes.
    let bits = i32x4_extend_low_i16x8(unsafe { v128_load64_zero(at.cast()) });
    let magnitude = v128_and(i32x4_shl(bits, 13), i32x4_splat(0x0fff_e000));
    let value = f32x4_mul(magnitude, f32x4_splat(f32::from_bits((127 + 112) << 23)));
    v128_or(value, v128_and(bits, i32x4_splat(i32::MIN)))
}

#[inline(always)]
fn lanes(vector: v128) -> Lanes {
    [f32x4_extract_lane::<0>(vector), f32x4_extract_lane::<1>(vector), f32x4_extract_lane::<2>(vector), f32x4_extract_lane::<3>(vector)]
}

/// Where the activations' codes, scales and sums of `token` are, after checking that `T` tokens and `P` panels are there.
#[inline(always)]
fn checked<const P: usize, const T: usize>(
    panels: &[u8],
    block_bytes: usize,
    x: &Activations,
    token: usize,
) -> (usize, *const i8, *const f32, *const f32) {
    let (columns, blocks) = (x.columns(), x.columns() / BLOCK);
    assert!(panels.len() == P * blocks * block_bytes && columns == blocks * BLOCK, "a panel holds its matrix's columns");
    (
        blocks,
        x.codes()[token * columns..(token + T) * columns].as_ptr(),
        x.scales()[token * blocks..(token + T) * blocks].as_ptr(),
        x.sums()[token * blocks..(token + T) * blocks].as_ptr(),
    )
}

#[inline(always)]
fn nibbles<D: Dot, const P: usize, const T: usize, const HAS_MINIMUM: bool>(
    panels: &[u8],
    x: &Activations,
    token: usize,
) -> [[Lanes; T]; P] {
    let head = if HAS_MINIMUM { 16 } else { 8 };
    let (blocks, codes, scales, sums) = checked::<P, T>(panels, head + 64, x, token);
    let columns = blocks * BLOCK;
    let mut totals = [[f32x4_splat(0.0); T]; P];
    for index in 0..blocks {
        for (p, totals) in totals.iter_mut().enumerate() {
            // SAFETY: `checked` has compared the panels' and the activations' lengths with `blocks`, `P` and `T`; every offset below stays
            // within block `index` of panel `p` (`head + 64` bytes) or of a token (32 codes, one scale, one sum).
            unsafe {
                let block = panels.as_ptr().add((p * blocks + index) * (head + 64));
                let d = halves(block);
                let m = if HAS_MINIMUM { halves(block.add(8)) } else { f32x4_mul(d, f32x4_splat(-8.0)) };
                let mut even = [D::NO_NIBBLES; T];
                let mut odd = [D::NO_NIBBLES; T];
                let code: [*const i8; T] = core::array::from_fn(|t| codes.add(t * columns + index * BLOCK));
                for i in 0..4 {
                    let packed = v128_load(block.add(head).add(i * 16).cast());
                    // A shift of 16-bit lanes and a mask: the shift of bytes is five instructions on x86.
                    let (low, high) = (v128_and(packed, u8x16_splat(15)), v128_and(u16x8_shr(packed, 4), u8x16_splat(15)));
                    for t in 0..T {
                        even[t] = D::nibbles(even[t], low, v128_load32_splat(code[t].add(i * 4).cast()));
                        odd[t] = D::nibbles(odd[t], high, v128_load32_splat(code[t].add(16 + i * 4).cast()));
                    }
                }
                for (t, total) in totals.iter_mut().enumerate() {
                    let products = f32x4_convert_i32x4(D::finish_nibbles(even[t], odd[t]));
                    let scale = f32x4_mul(d, v128_load32_splat(scales.add(t * blocks + index).cast()));
                    *total = f32x4_add(*total, f32x4_mul(products, scale));
                    *total = f32x4_add(*total, f32x4_mul(m, v128_load32_splat(sums.add(t * blocks + index).cast())));
                }
            }
        }
    }
    totals.map(|totals| totals.map(lanes))
}

#[inline(always)]
fn bytes<D: Dot, const P: usize, const T: usize>(panels: &[u8], x: &Activations, token: usize) -> [[Lanes; T]; P] {
    let (blocks, codes, scales, _) = checked::<P, T>(panels, 8 + 128, x, token);
    let columns = blocks * BLOCK;
    let mut totals = [[f32x4_splat(0.0); T]; P];
    for index in 0..blocks {
        for (p, totals) in totals.iter_mut().enumerate() {
            // SAFETY: as in `nibbles`, with 136 bytes a block.
            unsafe {
                let block = panels.as_ptr().add((p * blocks + index) * 136);
                let d = halves(block);
                let mut even = [D::NO_BYTES; T];
                let mut odd = [D::NO_BYTES; T];
                let code: [*const i8; T] = core::array::from_fn(|t| codes.add(t * columns + index * BLOCK));
                for i in 0..4 {
                    let (w_even, w_odd) = (v128_load(block.add(8 + i * 32).cast()), v128_load(block.add(24 + i * 32).cast()));
                    for t in 0..T {
                        even[t] = D::bytes(even[t], w_even, v128_load32_splat(code[t].add(i * 8).cast()));
                        odd[t] = D::bytes(odd[t], w_odd, v128_load32_splat(code[t].add(i * 8 + 4).cast()));
                    }
                }
                for (t, total) in totals.iter_mut().enumerate() {
                    let products = f32x4_convert_i32x4(i32x4_add(D::finish_bytes(even[t]), D::finish_bytes(odd[t])));
                    let scale = f32x4_mul(d, v128_load32_splat(scales.add(t * blocks + index).cast()));
                    *total = f32x4_add(*total, f32x4_mul(products, scale));
                }
            }
        }
    }
    totals.map(|totals| totals.map(lanes))
}

#[inline(always)]
fn groups<D: Dot, const P: usize, const T: usize>(panels: &[u8], x: &Activations, token: usize) -> [[Lanes; T]; P] {
    const BLOCK_BYTES: usize = BLOCK * PANEL_ROWS;
    let (blocks, stride) = (x.blocks(), x.code_stride());
    let panel_bytes = blocks.div_ceil(GROUP / BLOCK) * PANEL_ROWS * 4 + blocks * BLOCK_BYTES;
    assert!(panels.len() == P * panel_bytes, "a panel holds its matrix's columns");
    let codes = x.codes()[token * stride..(token + T) * stride].as_ptr();
    let scales = x.scales()[token * blocks..(token + T) * blocks].as_ptr();
    let mut totals = [[f32x4_splat(0.0); T]; P];
    for index in 0..blocks {
        for (p, totals) in totals.iter_mut().enumerate() {
            // SAFETY: the lengths of the panels, the codes and the scales have been compared with `blocks`, `P` and `T` above; every offset
            // below stays within the group of block `index` of panel `p`, or within a token's codes and scales.
            unsafe {
                let group = panels.as_ptr().add(p * panel_bytes + index / (GROUP / BLOCK) * GROUP_PANEL_BYTES);
                let d = v128_load(group.cast());
                let block = group.add(PANEL_ROWS * 4 + index % (GROUP / BLOCK) * BLOCK_BYTES);
                let mut even = [D::NO_BYTES; T];
                let mut odd = [D::NO_BYTES; T];
                let code: [*const i8; T] = core::array::from_fn(|t| codes.add(t * stride + index * BLOCK));
                for i in 0..4 {
                    let (w_even, w_odd) = (v128_load(block.add(i * 32).cast()), v128_load(block.add(i * 32 + 16).cast()));
                    for t in 0..T {
                        even[t] = D::bytes(even[t], w_even, v128_load32_splat(code[t].add(i * 8).cast()));
                        odd[t] = D::bytes(odd[t], w_odd, v128_load32_splat(code[t].add(i * 8 + 4).cast()));
                    }
                }
                for (t, total) in totals.iter_mut().enumerate() {
                    let products = f32x4_convert_i32x4(i32x4_add(D::finish_bytes(even[t]), D::finish_bytes(odd[t])));
                    let scale = f32x4_mul(d, v128_load32_splat(scales.add(t * blocks + index).cast()));
                    *total = f32x4_add(*total, f32x4_mul(products, scale));
                }
            }
        }
    }
    totals.map(|totals| totals.map(lanes))
}

#[inline(always)]
fn codes<D: Dot, const T: usize>(panel: &[i8], queries: &[i8], stride: usize) -> [[i32; PANEL_ROWS]; T] {
    let fours = panel.len() / 16;
    assert!(queries.len() >= (T - 1) * stride + fours * 4, "queries hold T rows of the panel's columns");
    let mut sums = [D::NO_BYTES; T];
    for four in 0..fours {
        // SAFETY: `four` is below the panel's 16-byte groups, and the queries' length has been checked above.
        unsafe {
            let w = v128_load(panel.as_ptr().add(four * 16).cast());
            for (t, sum) in sums.iter_mut().enumerate() {
                *sum = D::bytes(*sum, w, v128_load32_splat(queries.as_ptr().add(t * stride + four * 4).cast()));
            }
        }
    }
    sums.map(|sum| {
        let sum = D::finish_bytes(sum);
        [i32x4_extract_lane::<0>(sum), i32x4_extract_lane::<1>(sum), i32x4_extract_lane::<2>(sum), i32x4_extract_lane::<3>(sum)]
    })
}

impl Kernel for Simd128 {
    const NAME: &'static str = "simd128";

    #[inline(always)]
    fn nibbles<const P: usize, const T: usize, const HAS_MINIMUM: bool>(panels: &[u8], x: &Activations, token: usize) -> [[Lanes; T]; P] {
        nibbles::<Self, P, T, HAS_MINIMUM>(panels, x, token)
    }

    #[inline(always)]
    fn bytes<const P: usize, const T: usize>(panels: &[u8], x: &Activations, token: usize) -> [[Lanes; T]; P] {
        bytes::<Self, P, T>(panels, x, token)
    }

    #[inline(always)]
    fn any_bytes<const P: usize, const T: usize>(panels: &[u8], x: &Activations, token: usize) -> [[Lanes; T]; P] {
        bytes::<Self, P, T>(panels, x, token)
    }

    #[inline(always)]
    fn groups<const P: usize, const T: usize>(panels: &[u8], x: &Activations, token: usize) -> [[Lanes; T]; P] {
        groups::<Self, P, T>(panels, x, token)
    }

    #[inline(always)]
    fn any_groups<const P: usize, const T: usize>(panels: &[u8], x: &Activations, token: usize) -> [[Lanes; T]; P] {
        groups::<Self, P, T>(panels, x, token)
    }

    #[inline(always)]
    fn codes<const T: usize>(panel: &[i8], queries: &[i8], stride: usize) -> [[i32; PANEL_ROWS]; T] {
        codes::<Self, T>(panel, queries, stride)
    }
}

#[cfg(target_feature = "relaxed-simd")]
impl Kernel for Relaxed {
    const NAME: &'static str = "relaxed";

    #[inline(always)]
    fn nibbles<const P: usize, const T: usize, const HAS_MINIMUM: bool>(panels: &[u8], x: &Activations, token: usize) -> [[Lanes; T]; P] {
        nibbles::<Self, P, T, HAS_MINIMUM>(panels, x, token)
    }

    #[inline(always)]
    fn bytes<const P: usize, const T: usize>(panels: &[u8], x: &Activations, token: usize) -> [[Lanes; T]; P] {
        bytes::<Self, P, T>(panels, x, token)
    }

    #[inline(always)]
    fn any_bytes<const P: usize, const T: usize>(panels: &[u8], x: &Activations, token: usize) -> [[Lanes; T]; P] {
        bytes::<Simd128, P, T>(panels, x, token)
    }

    #[inline(always)]
    fn groups<const P: usize, const T: usize>(panels: &[u8], x: &Activations, token: usize) -> [[Lanes; T]; P] {
        groups::<Self, P, T>(panels, x, token)
    }

    #[inline(always)]
    fn any_groups<const P: usize, const T: usize>(panels: &[u8], x: &Activations, token: usize) -> [[Lanes; T]; P] {
        groups::<Simd128, P, T>(panels, x, token)
    }

    #[inline(always)]
    fn codes<const T: usize>(panel: &[i8], queries: &[i8], stride: usize) -> [[i32; PANEL_ROWS]; T] {
        codes::<Self, T>(panel, queries, stride)
    }
}
