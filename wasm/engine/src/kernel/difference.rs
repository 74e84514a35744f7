//! Every kernel of this build against the oracle, at sizes that leave rests everywhere: what a package computes is looked at in the package
//! itself, on the very host that runs it.

use super::{Activations, Active, Kernel, MIX_COLUMNS, Scalar, products_of_codes};
use crate::weights::matrix::{PANEL_ROWS, encode_row};
use crate::weights::tensor_type::{BLOCK, GROUP};
use crate::weights::{Matrix, TensorType};
use core::mem::MaybeUninit;

const KINDS: [TensorType; 7] =
    [TensorType::Q4_0, TensorType::Q4_1, TensorType::Q8_0, TensorType::I8, TensorType::F16, TensorType::Bf16, TensorType::F32];
/// Among them more than are met by a part of a matrix that is unpacked for many.
const TOKENS: [usize; 8] = [1, 2, 3, 4, 5, 7, 11, 70];

/// Says where the active kernel, or the one it gives way to on some hosts, differs from the oracle by a bit; `None` where they agree.
pub fn first_difference() -> Option<String> {
    let packed = panels::<Active>(&mut Numbers(2)).map(|difference| format!("{}: {difference}", Active::NAME));
    packed.or_else(|| of::<Active>("")).or_else(|| of::<<Active as Kernel>::Fours>(", in sums of four"))
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
            // More than are unpacked together.
            TensorType::Q4_0 | TensorType::Q4_1 => [BLOCK, 3 * BLOCK, 37 * BLOCK],
            TensorType::Q8_0 => [BLOCK, 3 * BLOCK, 5 * BLOCK],
            _ => [1, 6, 33],
        };
        for (rows, columns) in [1, 6, 11].into_iter().zip(widths) {
            let Some(matrix) = matrix(kind, rows, columns, numbers) else {
                return Some(format!("no {kind:?} matrix of {rows} x {columns}"));
            };
            for (tokens, fires) in TOKENS.into_iter().flat_map(|tokens| [(tokens, false), (tokens, true)]) {
                let mut x = Activations::default();
                x.fill(tokens, columns).copy_from_slice(&numbers.floats(tokens * columns, 5.0));
                if fires {
                    fire(&mut x);
                }
                x.prepare_with(kind, K::load);
                let stride = rows.next_multiple_of(PANEL_ROWS);
                let (mut found, mut expected) = (vec![1.0; tokens * stride], vec![2.0; tokens * stride]);
                products_of_codes::<K>(&matrix, 0..rows, &x, &mut found, stride);
                products_of_codes::<Scalar>(&matrix, 0..rows, &x, &mut expected, stride);
                if differ(&found, &expected) {
                    let what = if fires { "tokens that have fired" } else { "tokens" };
                    return Some(format!("the product of a {kind:?} matrix of {rows} x {columns} with {tokens} {what}"));
                }
            }
        }
    }
    None
}

/// All tokens fire: the counts of their middle columns, and of every other token's last one, lie outside their codes.
fn fire(x: &mut Activations) {
    let (tokens, columns) = (x.tokens(), x.columns());
    for (token, row) in x.values_mut().chunks_exact_mut(columns).enumerate() {
        row[columns / 2] += 400.0;
        if token % 2 == 0 {
            row[columns - 1] -= 300.0;
        }
    }
    x.begin_firing();
    (0..tokens).for_each(|token| x.fire(token, 150.0, None));
}

/// Panels, packed out of order, against rows that are packed one by one; and panels with a number that is not finite in one of their rows.
fn panels<K: Kernel>(numbers: &mut Numbers) -> Option<String> {
    for kind in KINDS {
        for blocks in [1, 3, 4, 7, 8, 20, 37, GROUP + 61] {
            let columns = blocks * kind.block_elements();
            let difference = |what: &str| Some(format!("{what} {kind:?} rows of {columns}"));
            let rows: Vec<Vec<u8>> = (0..3 * PANEL_ROWS).map(|_| encode_row(kind, &numbers.floats(columns, 3.0))).collect();
            let (Ok(mut found), Ok(mut expected)) = (Matrix::new(kind, rows.len(), columns), Matrix::new(kind, rows.len(), columns)) else {
                return difference("no matrix of");
            };
            let (row_bytes, panel_bytes) = (rows[0].len(), expected.panel_bytes());
            let mut pack = |first: usize, rows: &[u8], step: usize| {
                let mut room = vec![MaybeUninit::new(0xaa); rows.len().div_ceil(step * row_bytes) / PANEL_ROWS * panel_bytes];
                let by_vectors = K::pack(kind, rows, step, row_bytes, &mut room).is_some();
                (by_vectors, found.set_panels(first, rows, step, "difference").is_ok())
            };
            // Two panels, and before them one whose rows stand apart in the file.
            let apart: Vec<&[u8]> = rows[..2 * PANEL_ROWS - 1].iter().map(Vec::as_slice).collect();
            let packed = [pack(1, &rows[PANEL_ROWS..].concat(), 1), pack(0, &apart.concat(), 2)];
            if packed != [(K::NAME != Scalar::NAME, true); 2] {
                return difference("no panels of");
            }
            for (row, bytes) in rows.iter().enumerate() {
                let bytes = if row < PANEL_ROWS { apart[2 * row] } else { bytes };
                if expected.set_row(row, bytes, "difference").is_err() {
                    return difference("not one of");
                }
            }
            for (lane, infinity) in (0..PANEL_ROWS).filter_map(|lane| Some((lane, infinity(kind)?))) {
                let mut panel = rows[..PANEL_ROWS].concat();
                let at = lane * row_bytes + (columns - 1) / kind.block_elements() * kind.block_bytes();
                panel[at..at + infinity.len()].copy_from_slice(infinity);
                if pack(0, &panel, 1) != (false, false) {
                    return difference("a number that is not finite in");
                }
                // The rows before it are packed again by themselves.
                _ = pack(0, &apart.concat(), 2);
            }
            if (0..expected.panels()).any(|panel| found.panel(panel) != expected.panel(panel)) {
                return difference("panels of");
            }
        }
    }
    None
}

/// As files write it, where a type has it.
fn infinity(kind: TensorType) -> Option<&'static [u8]> {
    match kind {
        TensorType::Q4_0 | TensorType::Q4_1 | TensorType::Q8_0 | TensorType::F16 => Some(&[0x00, 0xfc]),
        TensorType::Bf16 => Some(&[0x80, 0xff]),
        TensorType::F32 => Some(&[0x00, 0x00, 0x80, 0xff]),
        TensorType::I8 | TensorType::I32 => None,
    }
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
        let keys = numbers.codes(12 * width);
        let (key_scales, query_scales) = (numbers.floats(12, 1.0), numbers.floats(4, 1.0));
        let codes = numbers.codes(4 * width);
        let mut loaded = [vec![0; 4 * width], vec![0; 4 * width]];
        for (row, codes) in codes.chunks_exact(width).enumerate() {
            // The last codes of a row are padding, which no query fills.
            K::load(&codes[..width - 1], &mut loaded[0][row * width..(row + 1) * width]);
            Scalar::load(&codes[..width - 1], &mut loaded[1][row * width..(row + 1) * width]);
        }
        let differs = scored::<K, 1>(&keys, &key_scales, &loaded, &query_scales)
            || scored::<K, 2>(&keys, &key_scales, &loaded, &query_scales)
            || scored::<K, 3>(&keys, &key_scales, &loaded, &query_scales)
            || scored::<K, 4>(&keys, &key_scales, &loaded, &query_scales);
        if differs {
            return Some(format!("scores of queries of {width}"));
        }
    }
    None
}

/// Whether scores of queries, loaded for the kernel and for the oracle, differ.
fn scored<K: Kernel, const T: usize>(keys: &[i8], key_scales: &[f32], loaded: &[Vec<i16>; 2], query_scales: &[f32]) -> bool {
    // What lies between the scores of two queries stays as it is.
    let stride = key_scales.len() + 3;
    let [mut found, mut expected] = [(); 2].map(|()| vec![0.5; T * stride]);
    K::scores::<T>(keys, key_scales, &loaded[0], query_scales, &mut found, stride);
    Scalar::scores::<T>(keys, key_scales, &loaded[1], query_scales, &mut expected, stride);
    differ(&found, &expected)
}

fn mixes<K: Kernel>(numbers: &mut Numbers) -> Option<String> {
    for (tokens, width, column) in [(2, 8, 0), (6, 21, 9), (32, 64, 48)] {
        let (values, codes) = (numbers.floats(tokens * width, 1.0), numbers.codes(tokens * MIX_COLUMNS));
        let weights = numbers.floats(4 * (tokens + 3), 1.0);
        let scales: Vec<f32> = numbers.floats(tokens, 1.0).iter().map(|scale| scale.abs() + 1e-5).collect();
        let start = numbers.floats(4 * MIX_COLUMNS, 1.0);
        let given = Mixed { weights: &weights, stride: tokens + 3, scales: &scales, width, column, start: &start };
        let differs = given.differ::<K, 1>(&values, &codes)
            || given.differ::<K, 2>(&values, &codes)
            || given.differ::<K, 3>(&values, &codes)
            || given.differ::<K, 4>(&values, &codes);
        if differs {
            return Some(format!("values of {tokens} tokens, from column {column} of {width} on"));
        }
    }
    None
}

struct Mixed<'a> {
    weights: &'a [f32],
    stride: usize,
    scales: &'a [f32],
    width: usize,
    column: usize,
    start: &'a [f32],
}

impl Mixed<'_> {
    /// Whether some sum of so many rows differs from the oracle's.
    fn differ<K: Kernel, const R: usize>(&self, values: &[f32], codes: &[i8]) -> bool {
        let sums: [[f32; MIX_COLUMNS]; R] = core::array::from_fn(|row| core::array::from_fn(|at| self.start[row * MIX_COLUMNS + at]));
        let [mut found, mut expected, mut of_codes, mut of_oracle] = [sums; 4];
        K::mix(self.weights, self.stride, values, self.width, self.column, &mut found);
        Scalar::mix(self.weights, self.stride, values, self.width, self.column, &mut expected);
        let ((weights, worths), (same, worths_of_oracle)) = (self.weighed::<K, R>(true), self.weighed::<Scalar, R>(true));
        K::mix_codes(&weights, &worths, codes, &mut of_codes);
        Scalar::mix_codes(&weights, &worths, codes, &mut of_oracle);
        weights != same
            || self.weighed::<K, R>(false).0 != self.weighed::<Scalar, R>(false).0
            || differ(&worths, &worths_of_oracle)
            || differ(found.as_flattened(), expected.as_flattened())
            || differ(of_codes.as_flattened(), of_oracle.as_flattened())
    }

    /// Weights as codes: ordinary ones, ones that are nothing, and none that is a number. Of the last row what they lack, where it is asked for.
    fn weighed<K: Kernel, const R: usize>(&self, with_rests: bool) -> (Vec<i16>, [f32; R]) {
        let tokens = self.scales.len();
        let mut codes = vec![1; R * tokens];
        let worths = core::array::from_fn(|row| {
            let mut weights: Vec<f32> = self.weights[row * self.stride..][..tokens].iter().map(|weight| weight.abs()).collect();
            match row {
                1 => weights.fill(1e-35),
                2 => weights.fill(f32::NAN),
                _ => (),
            }
            let mut rests = vec![1; if with_rests { tokens } else { 0 }];
            let worth = K::weigh(&weights, self.scales, &mut codes[row * tokens..][..tokens], &mut rests);
            if row == R - 1 && with_rests {
                codes[row * tokens..].copy_from_slice(&rests);
            }
            worth
        });
        (codes, worths)
    }
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
    for (length, threshold) in [(1, 0.3), (7, 0.01), (16, 0.5), (33, 1e-5), (48, 0.2), (49, 2e-6), (67, 40.0)] {
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
        let multiple = (most / threshold).round_ties_even();
        K::count(&mut found, threshold, multiple, &mut codes[0]);
        Scalar::count(&mut expected, threshold, multiple, &mut codes[1]);
        if sum.to_bits() != of_oracle.to_bits() || differ(&[most], &[most_of_oracle]) || differ(&found, &expected) || codes[0] != codes[1] {
            return Some(format!("the spikes of {length} numbers"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::{Kernel, REST, Scalar};

    #[test]
    fn weights_of_values_are_whole_shares_of_the_largest_and_their_rests_are_what_these_lack() {
        let (mut codes, mut rests) = ([7; 4], [7; 4]);
        let worth = Scalar::weigh(&[0.5, 0.25, 0.1, 0.0], &[1.0, 2.0, 1.0, 3.0], &mut codes, &mut rests);
        assert_eq!((worth, codes), (0.5 / 32_767.0, [32_767, 32_767, 6_553, 0]));
        assert_eq!((&rests[..2], rests[3]), (&[0, 0][..], 0));
        let found = (f32::from(codes[2]) + f32::from(rests[2]) * REST) * worth;
        assert!((found - 0.1).abs() < 1e-8, "{found} in place of 0.1");
        // What is below all that counts is nothing; what is no number stays none.
        assert_eq!((Scalar::weigh(&[1e-31, 0.0], &[1.0, 1.0], &mut codes, &mut []), codes[0]), (0.0, 0));
        assert!(Scalar::weigh(&[f32::NAN; 2], &[1.0, 1.0], &mut codes, &mut []).is_nan());
    }

    #[test]
    fn this_build_computes_what_the_oracle_does() {
        assert_eq!(super::first_difference(), None);
    }
}
