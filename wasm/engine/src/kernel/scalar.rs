//! The oracle: plain loops that say what the vector kernels must compute, in the order in which they must add.

use super::{Activations, Kernel, Lanes, MIX_COLUMNS};
use crate::weights::matrix::{GROUP_PANEL_BYTES, PANEL_ROWS};
use crate::weights::tensor_type::{BLOCK, GROUP};
use half::{bf16, f16};

/// Runs anywhere; the native build and the tests use it.
#[derive(Debug)]
pub struct Scalar;

fn halves(bytes: &[u8]) -> Lanes {
    core::array::from_fn(|lane| f16::from_le_bytes([bytes[lane * 2], bytes[lane * 2 + 1]]).to_f32())
}

impl Kernel for Scalar {
    const NAME: &'static str = "scalar";
    type Fours = Self;

    fn nibbles<const T: usize, const HAS_MINIMUM: bool>(panel: &[u8], x: &Activations, token: usize) -> [Lanes; T] {
        nibbles::<T, HAS_MINIMUM>(panel, x, token)
    }

    fn bytes<const T: usize>(panel: &[u8], x: &Activations, token: usize) -> [Lanes; T] {
        bytes::<T>(panel, x, token)
    }

    fn groups<const T: usize>(panel: &[u8], x: &Activations, token: usize) -> [Lanes; T] {
        groups::<T>(panel, x, token)
    }

    fn half_floats<const T: usize>(panel: &[u8], x: &Activations, token: usize) -> [Lanes; T] {
        floats::<f16, 2, T>(panel, x, token)
    }

    fn scores<const T: usize>(keys: &[i8], key_scales: &[f32], queries: &[i16], query_scales: &[f32], out: &mut [f32], stride: usize) {
        let width = keys.len() / key_scales.len();
        for (index, (panel, key_scales)) in keys.chunks_exact(width * PANEL_ROWS).zip(key_scales.chunks_exact(PANEL_ROWS)).enumerate() {
            for (t, (query, scale)) in queries.chunks_exact(width).zip(query_scales).take(T).enumerate() {
                let mut sums = [0i32; PANEL_ROWS];
                for (codes, query) in panel.chunks_exact(16).zip(query.chunks_exact(4)) {
                    for (sum, codes) in sums.iter_mut().zip(codes.chunks_exact(4)) {
                        *sum += codes.iter().zip(query).map(|(code, x)| i32::from(*code) * i32::from(*x)).sum::<i32>();
                    }
                }
                for (lane, sum) in sums.into_iter().enumerate() {
                    #[allow(clippy::cast_precision_loss)]
                    {
                        out[t * stride + index * PANEL_ROWS + lane] = sum as f32 * (key_scales[lane] * scale);
                    }
                }
            }
        }
    }

    fn mix<const R: usize>(weights: &[f32], stride: usize, values: &[f32], width: usize, column: usize, out: &mut [[f32; MIX_COLUMNS]; R]) {
        for (token, values) in values.chunks_exact(width).enumerate() {
            for (row, out) in out.iter_mut().enumerate() {
                for (out, value) in out.iter_mut().zip(&values[column..]) {
                    *out += weights[row * stride + token] * value;
                }
            }
        }
    }

    fn mix_codes<const R: usize>(weights: &[i16], worths: &[f32; R], values: &[i8], out: &mut [[f32; MIX_COLUMNS]; R]) {
        for ((out, worth), weights) in out.iter_mut().zip(worths).zip(weights.chunks_exact(weights.len() / R)) {
            for (column, out) in out.iter_mut().enumerate() {
                *out += column_of_codes(weights, values, MIX_COLUMNS, column) * worth;
            }
        }
    }
}

/// One of so many columns of [`Kernel::mix_codes`] for one row.
pub(crate) fn column_of_codes(weights: &[i16], values: &[i8], width: usize, column: usize) -> f32 {
    let pairs = weights.chunks_exact(2).zip(values.chunks_exact(2 * width));
    let sum: i32 = pairs
        .map(|(weights, values)| {
            let [first, second] = [values[2 * column], values[2 * column + 1]].map(i32::from);
            i32::from(weights[0]) * first + i32::from(weights[1]) * second
        })
        .sum();
    #[allow(clippy::cast_precision_loss)]
    {
        sum as f32
    }
}

fn nibbles<const T: usize, const HAS_MINIMUM: bool>(panel: &[u8], x: &Activations, token: usize) -> [Lanes; T] {
    let head = if HAS_MINIMUM { 16 } else { 8 };
    let mut sums = [[0.0; PANEL_ROWS]; T];
    let blocks = x.columns() / BLOCK;
    for (index, block) in panel.chunks_exact(head + 64).enumerate() {
        let d = halves(block);
        let m = if HAS_MINIMUM { halves(&block[8..]) } else { d.map(|d| d * -8.0) };
        for (t, sum) in sums.iter_mut().enumerate() {
            let at = (token + t) * blocks + index;
            let codes = &x.codes()[at * BLOCK..(at + 1) * BLOCK];
            let mut products = [0i32; PANEL_ROWS];
            for (four, bytes) in block[head..].chunks_exact(16).enumerate() {
                for (lane, product) in products.iter_mut().enumerate() {
                    for c in 0..4 {
                        let pair = bytes[lane * 4 + c];
                        *product += i32::from(pair & 15) * i32::from(codes[four * 4 + c]);
                        *product += i32::from(pair >> 4) * i32::from(codes[16 + four * 4 + c]);
                    }
                }
            }
            for lane in 0..PANEL_ROWS {
                #[allow(clippy::cast_precision_loss)]
                {
                    sum[lane] += products[lane] as f32 * (d[lane] * x.scales()[at]);
                }
                sum[lane] += m[lane] * x.sums()[at];
            }
        }
    }
    sums
}

fn bytes<const T: usize>(panel: &[u8], x: &Activations, token: usize) -> [Lanes; T] {
    let mut sums = [[0.0; PANEL_ROWS]; T];
    let blocks = x.columns() / BLOCK;
    for (index, block) in panel.chunks_exact(8 + 128).enumerate() {
        let d = halves(block);
        for (t, sum) in sums.iter_mut().enumerate() {
            let at = (token + t) * blocks + index;
            let codes = &x.codes()[at * BLOCK..(at + 1) * BLOCK];
            let mut products = [0i32; PANEL_ROWS];
            for (four, bytes) in block[8..].chunks_exact(16).enumerate() {
                for (lane, product) in products.iter_mut().enumerate() {
                    for c in 0..4 {
                        *product += i32::from(bytes[lane * 4 + c].cast_signed()) * i32::from(codes[four * 4 + c]);
                    }
                }
            }
            for lane in 0..PANEL_ROWS {
                #[allow(clippy::cast_precision_loss)]
                {
                    sum[lane] += products[lane] as f32 * (d[lane] * x.scales()[at]);
                }
            }
        }
    }
    sums
}

fn groups<const T: usize>(panel: &[u8], x: &Activations, token: usize) -> [Lanes; T] {
    let mut sums = [[0.0; PANEL_ROWS]; T];
    let blocks = x.blocks();
    for (group, bytes) in panel.chunks(GROUP_PANEL_BYTES).enumerate() {
        let (scales, codes) = bytes.split_at(PANEL_ROWS * 4);
        let d: Lanes = core::array::from_fn(|lane| <f32 as Element<4>>::decode(core::array::from_fn(|byte| scales[lane * 4 + byte])));
        for (block, weights) in codes.chunks_exact(BLOCK * PANEL_ROWS).enumerate() {
            for (t, sum) in sums.iter_mut().enumerate() {
                let at = (token + t) * blocks + group * (GROUP / BLOCK) + block;
                let codes = &x.codes()[at * BLOCK..(at + 1) * BLOCK];
                let mut products = [0i32; PANEL_ROWS];
                for (four, bytes) in weights.chunks_exact(16).enumerate() {
                    for (lane, product) in products.iter_mut().enumerate() {
                        for c in 0..4 {
                            *product += i32::from(bytes[lane * 4 + c].cast_signed()) * i32::from(codes[four * 4 + c]);
                        }
                    }
                }
                for lane in 0..PANEL_ROWS {
                    #[allow(clippy::cast_precision_loss)]
                    {
                        sum[lane] += products[lane] as f32 * (d[lane] * x.scales()[at]);
                    }
                }
            }
        }
    }
    sums
}

/// An element type that needs no block.
pub(super) trait Element<const S: usize> {
    fn decode(bytes: [u8; S]) -> f32;
}

impl Element<4> for f32 {
    #[inline(always)]
    fn decode(bytes: [u8; 4]) -> f32 {
        Self::from_le_bytes(bytes)
    }
}

impl Element<2> for f16 {
    #[inline(always)]
    fn decode(bytes: [u8; 2]) -> f32 {
        Self::from_le_bytes(bytes).to_f32()
    }
}

impl Element<2> for bf16 {
    #[inline(always)]
    fn decode(bytes: [u8; 2]) -> f32 {
        f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16)
    }
}

/// F32, F16 and BF16 panels; `S` is the element's size. Four partial sums by column modulo 4, then `(0 + 1) + (2 + 3)`: lane-wise, so the
/// compiler vectorises it in every build.
#[inline(always)]
pub(super) fn floats<E: Element<S>, const S: usize, const T: usize>(panel: &[u8], x: &Activations, token: usize) -> [Lanes; T] {
    let mut partial = [[[0.0f32; PANEL_ROWS]; 4]; T];
    let columns = x.columns();
    let rows: [&[f32]; T] = core::array::from_fn(|t| &x.values()[(token + t) * columns..(token + t + 1) * columns]);
    let mut add = |column: usize, bytes: &[u8], at: usize| {
        let w: Lanes = core::array::from_fn(|lane| E::decode(core::array::from_fn(|byte| bytes[lane * S + byte])));
        for (partial, row) in partial.iter_mut().zip(&rows) {
            for lane in 0..PANEL_ROWS {
                partial[at][lane] += w[lane] * row[column];
            }
        }
    };
    let mut fours = panel.chunks_exact(4 * PANEL_ROWS * S);
    for (four, bytes) in fours.by_ref().enumerate() {
        for at in 0..4 {
            add(four * 4 + at, &bytes[at * PANEL_ROWS * S..], at);
        }
    }
    for (at, bytes) in fours.remainder().chunks_exact(PANEL_ROWS * S).enumerate() {
        add(columns / 4 * 4 + at, bytes, at);
    }
    partial.map(|p| core::array::from_fn(|lane| (p[0][lane] + p[1][lane]) + (p[2][lane] + p[3][lane])))
}
