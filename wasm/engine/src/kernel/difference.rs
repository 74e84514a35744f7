//! Every kernel of this build against the oracle, at sizes that leave rests everywhere: what a package computes is looked at in the package
//! itself, on the very host that runs it.

use super::{Activations, Active, Kernel, MIX_COLUMNS, Scalar, products_of_codes};
use crate::weights::matrix::{PANEL_ROWS, encode_row};
use crate::weights::tensor_type::{BLOCK, GROUP};
use crate::weights::{Matrix, TensorType};

const KINDS: [TensorType; 7] =
    [TensorType::Q4_0, TensorType::Q4_1, TensorType::Q8_0, TensorType::I8, TensorType::F16, TensorType::Bf16, TensorType::F32];
const TOKENS: [usize; 7] = [1, 2, 3, 4, 5, 7, 11];

/// Says where the active kernel, or the one it gives way to on some hosts, differs from the oracle by a bit; `None` where they agree.
pub fn first_difference() -> Option<String> {
    of::<Active>("").or_else(|| of::<<Active as Kernel>::Fours>(", in sums of four"))
}

fn of<K: Kernel>(form: &str) -> Option<String> {
    let mut numbers = Numbers(1);
    products::<K>(&mut numbers)
        .or_else(|| scores::<K>(&mut numbers))
        .or_else(|| mixes::<K>(&mut numbers))
        .or_else(|| exponentials::<K>(&mut numbers))
        .or_else(|| codes::<K>(&mut numbers))
        .map(|difference| format!("{}{form}: {difference}", K::NAME))
}

/// A linear congruential generator: the same numbers in every run.
struct Numbers(u32);

impl Numbers {
    fn bits(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0 >> 8
    }

    /// From -1 to 1.
    #[allow(clippy::cast_precision_loss)]
    fn next(&mut self) -> f32 {
        self.bits() as f32 / (1u32 << 23) as f32 - 1.0
    }

    fn floats(&mut self, count: usize, factor: f32) -> Vec<f32> {
        (0..count).map(|_| self.next() * factor).collect()
    }

    /// Codes of either sign, the outermost among them.
    fn codes(&mut self, count: usize) -> Vec<i8> {
        (0..count)
            .map(|_| match self.bits() % 16 {
                0 => 127,
                1 => -127,
                _ => (self.bits() as u8).cast_signed().max(-127),
            })
            .collect()
    }
}

fn differ(found: &[f32], expected: &[f32]) -> bool {
    found.len() != expected.len() || found.iter().zip(expected).any(|(found, expected)| found.to_bits() != expected.to_bits())
}

fn products<K: Kernel>(numbers: &mut Numbers) -> Option<String> {
    for kind in KINDS {
        let widths = match kind {
            TensorType::I8 => [1, BLOCK + 1, GROUP + 5],
            TensorType::Q4_0 | TensorType::Q4_1 | TensorType::Q8_0 => [BLOCK, 3 * BLOCK, 5 * BLOCK],
            _ => [1, 6, 33],
        };
        for (rows, columns) in [1, 6, 11].into_iter().zip(widths) {
            let Some(matrix) = matrix(kind, rows, columns, numbers) else {
                return Some(format!("no {kind:?} matrix of {rows} x {columns}"));
            };
            for tokens in TOKENS {
                let mut x = Activations::default();
                x.fill(tokens, columns).copy_from_slice(&numbers.floats(tokens * columns, 5.0));
                x.prepare_with(kind, K::load);
                let stride = rows.next_multiple_of(PANEL_ROWS);
                let (mut found, mut expected) = (vec![1.0; tokens * stride], vec![2.0; tokens * stride]);
                products_of_codes::<K>(&matrix, 0..rows, &x, &mut found, stride);
                products_of_codes::<Scalar>(&matrix, 0..rows, &x, &mut expected, stride);
                if differ(&found, &expected) {
                    return Some(format!("the product of a {kind:?} matrix of {rows} x {columns} with {tokens} tokens"));
                }
            }
        }
    }
    None
}

fn matrix(kind: TensorType, rows: usize, columns: usize, numbers: &mut Numbers) -> Option<Matrix> {
    let mut matrix = Matrix::new(kind, rows, columns).ok()?;
    let factor = if kind == TensorType::I8 { 127.0 } else { 3.0 };
    for row in 0..rows {
        let mut bytes = encode_row(kind, &numbers.floats(columns, factor));
        // A code that the encoder never writes, and files may hold.
        if kind == TensorType::Q8_0 {
            bytes[2 + row % BLOCK] = 0x80;
        }
        matrix.set_row(row, &bytes, "difference").ok()?;
    }
    if kind == TensorType::I8 {
        let scales: Vec<f32> = (0..rows * columns.div_ceil(GROUP)).map(|_| numbers.next().abs() + 0.01).collect();
        matrix.set_scales(&scales, "difference").ok()?;
    }
    Some(matrix)
}

fn scores<K: Kernel>(numbers: &mut Numbers) -> Option<String> {
    for width in [4, 12, 64, 68] {
        let panel = numbers.codes(4 * width);
        let (key_scales, query_scales) = (numbers.floats(4, 1.0), numbers.floats(4, 1.0));
        let codes = numbers.codes(4 * width);
        let mut loaded = [vec![0; 4 * width], vec![0; 4 * width]];
        for (row, codes) in codes.chunks_exact(width).enumerate() {
            // The last codes of a row are padding, which no query fills.
            K::load(&codes[..width - 1], &mut loaded[0][row * width..(row + 1) * width]);
            Scalar::load(&codes[..width - 1], &mut loaded[1][row * width..(row + 1) * width]);
        }
        let differs = scored::<K, 1>(&panel, &key_scales, &loaded, &query_scales)
            || scored::<K, 2>(&panel, &key_scales, &loaded, &query_scales)
            || scored::<K, 3>(&panel, &key_scales, &loaded, &query_scales)
            || scored::<K, 4>(&panel, &key_scales, &loaded, &query_scales);
        if differs {
            return Some(format!("scores of queries of {width}"));
        }
    }
    None
}

/// Whether scores of queries, loaded for the kernel and for the oracle, differ.
fn scored<K: Kernel, const T: usize>(panel: &[i8], key_scales: &[f32], loaded: &[Vec<i16>; 2], query_scales: &[f32]) -> bool {
    let found = K::scores::<T>(panel, key_scales, &loaded[0], query_scales);
    let expected = Scalar::scores::<T>(panel, key_scales, &loaded[1], query_scales);
    differ(found.as_flattened(), expected.as_flattened())
}

fn mixes<K: Kernel>(numbers: &mut Numbers) -> Option<String> {
    for (tokens, width, column) in [(1, 8, 0), (5, 21, 9), (32, 64, 48)] {
        let (codes, scales, weights) = (numbers.codes(tokens * width), numbers.floats(tokens, 1.0), numbers.floats(4 * (tokens + 3), 1.0));
        let mut decoded = [vec![1.0; tokens * width], vec![2.0; tokens * width]];
        for (token, scale) in scales.iter().enumerate() {
            let at = token * width..(token + 1) * width;
            K::decode(&codes[at.clone()], *scale, &mut decoded[0][at.clone()]);
            Scalar::decode(&codes[at.clone()], *scale, &mut decoded[1][at]);
        }
        let start = numbers.floats(4 * MIX_COLUMNS, 1.0);
        let values = (&*codes, &*scales, &*decoded[1]);
        let differs = differ(&decoded[0], &decoded[1])
            || mixed::<K, 1>(&weights, tokens + 3, values, width, column, &start)
            || mixed::<K, 2>(&weights, tokens + 3, values, width, column, &start)
            || mixed::<K, 3>(&weights, tokens + 3, values, width, column, &start)
            || mixed::<K, 4>(&weights, tokens + 3, values, width, column, &start);
        if differs {
            return Some(format!("values of {tokens} tokens, from column {column} of {width} on"));
        }
    }
    None
}

/// Whether some of the four ways to the same sums differs from the oracle's.
fn mixed<K: Kernel, const R: usize>(
    weights: &[f32],
    stride: usize,
    (codes, scales, decoded): (&[i8], &[f32], &[f32]),
    width: usize,
    column: usize,
    start: &[f32],
) -> bool {
    let sums: [[f32; MIX_COLUMNS]; R] = core::array::from_fn(|row| core::array::from_fn(|at| start[row * MIX_COLUMNS + at]));
    let [mut expected, mut of_floats, mut of_codes, mut of_oracle] = [sums; 4];
    Scalar::mix(weights, stride, decoded, width, column, &mut expected);
    K::mix(weights, stride, decoded, width, column, &mut of_floats);
    K::mix_codes(weights, stride, (codes, scales), width, column, &mut of_codes);
    Scalar::mix_codes(weights, stride, (codes, scales), width, column, &mut of_oracle);
    [of_floats, of_codes, of_oracle].iter().any(|found| differ(found.as_flattened(), expected.as_flattened()))
}

fn exponentials<K: Kernel>(numbers: &mut Numbers) -> Option<String> {
    for length in [1, 7, 8, 9, 24, 65] {
        // Beyond both ends of what `exp` tells apart.
        let mut scores = numbers.floats(length, 120.0);
        scores[length / 2] = if length > 1 { f32::NEG_INFINITY } else { 0.5 };
        let (mut found, mut expected) = (scores.clone(), scores.clone());
        let ((largest, total), of_oracle) = (K::softmax(&mut found), Scalar::softmax(&mut expected));
        if differ(&found, &expected) || differ(&[largest, total], &[of_oracle.0, of_oracle.1]) {
            return Some(format!("the softmax of {length} scores"));
        }
        let (mut found, mut expected) = (scores.clone(), scores.clone());
        K::exp(&mut found);
        Scalar::exp(&mut expected);
        if differ(&found, &expected) {
            return Some(format!("the exponentials of {length} numbers"));
        }
        let (gates, up) = (numbers.floats(length, 120.0), numbers.floats(length, 3.0));
        K::gated(&gates, &up, &mut found);
        Scalar::gated(&gates, &up, &mut expected);
        if differ(&found, &expected) {
            return Some(format!("the activation of {length} numbers"));
        }
    }
    None
}

/// What is rounded and what fires.
fn codes<K: Kernel>(numbers: &mut Numbers) -> Option<String> {
    for (length, threshold) in [(1, 0.3), (7, 0.01), (16, 0.5), (33, 1e-5), (67, 40.0)] {
        let row = numbers.floats(length, 30.0);
        let ((sum, most), (of_oracle, most_of_oracle)) = (K::magnitudes(&row), Scalar::magnitudes(&row));
        let (mut found, mut expected) = (row.clone(), row.clone());
        let mut codes = [vec![1; length], vec![2; length]];
        let (largest, of_oracle_largest) = (K::largest(&row), Scalar::largest(&row));
        K::round(&row, 127.0 / largest, &mut codes[0]);
        Scalar::round(&row, 127.0 / largest, &mut codes[1]);
        if differ(&[largest], &[of_oracle_largest]) || codes[0] != codes[1] {
            return Some(format!("the codes of {length} numbers"));
        }
        K::count(&mut found, threshold, &mut codes[0]);
        Scalar::count(&mut expected, threshold, &mut codes[1]);
        if sum.to_bits() != of_oracle.to_bits() || differ(&[most], &[most_of_oracle]) || differ(&found, &expected) || codes[0] != codes[1] {
            return Some(format!("the spikes of {length} numbers"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_build_computes_what_the_oracle_does() {
        assert_eq!(super::first_difference(), None);
    }
}
