//! The oracle kernel against sums written out: exact integers per block, then floats in the order that is promised.

use crate::support::gguf_file::decode_row;
use crate::support::random::Random;
use half::f16;
use spikingbrain_engine::kernel::{Activations, Scalar, product};
use spikingbrain_engine::weights::matrix::{PANEL_ROWS, encode_row};
use spikingbrain_engine::weights::{Matrix, TensorType};

const KINDS: [TensorType; 6] = [TensorType::F32, TensorType::F16, TensorType::Bf16, TensorType::Q8_0, TensorType::Q4_0, TensorType::Q4_1];

struct Case {
    kind: TensorType,
    rows: usize,
    columns: usize,
    encoded: Vec<Vec<u8>>,
    matrix: Matrix,
}

fn case(kind: TensorType, rows: usize, columns: usize, lowest: bool, random: &mut Random) -> Case {
    let mut matrix = Matrix::new(kind, rows, columns).unwrap();
    let mut encoded = Vec::new();
    for _ in 0..rows {
        let values: Vec<f32> = (0..columns).map(|_| random.uniform() * 3.0).collect();
        let mut bytes = encode_row(kind, &values);
        if lowest {
            bytes[2 + random.below(32)] = 0x80;
        }
        encoded.push(bytes);
    }
    // As the loader packs them: whole panels where they come together, and rows.
    for (panel, rows) in encoded.chunks(PANEL_ROWS).enumerate() {
        if rows.len() == PANEL_ROWS && panel % 2 == 0 {
            matrix.set_panels(panel, &rows.concat(), 1, "test").unwrap();
        } else {
            (0..rows.len()).for_each(|lane| matrix.set_row(panel * PANEL_ROWS + lane, &rows[lane], "test").unwrap());
        }
    }
    Case { kind, rows, columns, encoded, matrix }
}

fn activations(tokens: usize, columns: usize, kind: TensorType, random: &mut Random) -> Activations {
    let mut x = Activations::default();
    x.fill(tokens, columns).iter_mut().for_each(|x| *x = random.uniform() * 5.0);
    x.prepare(kind);
    x
}

/// One output, from the file's bytes and the activations as the kernels get them.
fn expected(case: &Case, x: &Activations, token: usize, row: usize) -> f32 {
    let (columns, bytes) = (case.columns, &case.encoded[row]);
    if !case.kind.is_quantised() {
        let weights = decode_row(case.kind, bytes);
        let mut partial = [0.0f32; 4];
        for column in 0..columns {
            partial[column % 4] += weights[column] as f32 * x.values()[token * columns + column];
        }
        return (partial[0] + partial[1]) + (partial[2] + partial[3]);
    }
    let mut sum = 0.0f32;
    for (index, block) in bytes.chunks_exact(case.kind.block_bytes()).enumerate() {
        let at = token * columns / 32 + index;
        let codes: Vec<i32> = x.codes()[at * 32..(at + 1) * 32].iter().map(|code| i32::from(*code)).collect();
        let half_at = |at: usize| f16::from_le_bytes([block[at], block[at + 1]]).to_f32();
        let nibble = |head: usize, column: usize| i32::from(block[head + column % 16] >> (column / 16 * 4) & 15);
        let weight = |column: usize| match case.kind {
            TensorType::Q8_0 => i32::from(block[2 + column] as i8),
            TensorType::Q4_0 => nibble(2, column),
            _ => nibble(4, column),
        };
        let products: i32 = (0..32).map(|column| weight(column) * codes[column]).sum();
        sum += products as f32 * (half_at(0) * x.scales()[at]);
        match case.kind {
            TensorType::Q4_0 => sum += half_at(0) * -8.0 * x.sums()[at],
            TensorType::Q4_1 => sum += half_at(2) * x.sums()[at],
            _ => {}
        }
    }
    sum
}

fn check(case: &Case, tokens: usize, random: &mut Random) {
    let x = activations(tokens, case.columns, case.kind, random);
    let stride = case.rows.next_multiple_of(PANEL_ROWS);
    let mut y = vec![f32::NAN; tokens * stride];
    product::<Scalar>(&case.matrix, 0..case.rows, &x, &mut y, stride);
    for token in 0..tokens {
        for row in 0..case.rows {
            let (found, wanted) = (y[token * stride + row], expected(case, &x, token, row));
            assert_eq!(found.to_bits(), wanted.to_bits(), "{:?}, {tokens} tokens, token {token}, row {row}", case.kind);
        }
        for row in case.rows..stride {
            assert_eq!(y[token * stride + row], 0.0, "padding is zero");
        }
    }
}

#[test]
fn products_are_the_sums_they_are_said_to_be() {
    let mut random = Random::new(1);
    for kind in KINDS {
        let widths: &[usize] = if kind.is_quantised() { &[32, 96] } else { &[1, 2, 3, 4, 7, 33] };
        for columns in widths {
            for rows in [1, 3, 4, 5, 16, 17, 23] {
                let case = case(kind, rows, *columns, false, &mut random);
                for tokens in [1, 2, 4, 5, 8, 11] {
                    check(&case, tokens, &mut random);
                }
            }
        }
    }
}

#[test]
fn what_counts_beyond_their_codes_lack_is_added_column_by_column() {
    let mut random = Random::new(5);
    for kind in [TensorType::Q8_0, TensorType::Q4_0, TensorType::Q4_1] {
        for outside in [1, 2, 8, 9, 40] {
            let case = case(kind, 23, 96, false, &mut random);
            let mut x = Activations::default();
            for (token, row) in x.fill(7, 96).chunks_exact_mut(96).enumerate() {
                row.iter_mut().for_each(|x| *x = random.uniform() * 5.0);
                // One in three tokens stays within its codes.
                (0..if token % 3 == 1 { 0 } else { outside }).for_each(|_| row[random.below(96)] = -400.0 - 30.0 * random.uniform());
            }
            x.begin_firing();
            (0..7).for_each(|token| x.fire(token, 50.0, None));
            x.prepare(kind);
            let mut y = vec![f32::NAN; 7 * 24];
            product::<Scalar>(&case.matrix, 0..23, &x, &mut y, 24);
            let mut weights = vec![0.0; 96];
            for row in 0..23 {
                case.matrix.row(row, &mut weights);
                for token in 0..7 {
                    let mut wanted = expected(&case, &x, token, row);
                    for (column, weight) in weights.iter().enumerate() {
                        let rest = x.values()[token * 96 + column] - x.scales()[token * 3] * f32::from(x.codes()[token * 96 + column]);
                        if rest != 0.0 {
                            wanted += weight * rest;
                        }
                    }
                    let found = y[token * 24 + row];
                    assert_eq!(found.to_bits(), wanted.to_bits(), "{kind:?}, {outside} columns, token {token}, row {row}");
                }
            }
            assert_eq!([x.is_wide(0), x.is_wide(1)], [true, false], "{outside} columns");
        }
    }
}

#[test]
fn the_lowest_code_is_exact() {
    let mut random = Random::new(2);
    let case = case(TensorType::Q8_0, 21, 64, true, &mut random);
    for tokens in [1, 3, 4, 9] {
        check(&case, tokens, &mut random);
    }
}

#[test]
fn some_rows_are_those_rows_of_the_whole() {
    let mut random = Random::new(3);
    for kind in KINDS {
        let case = case(kind, 22, 64, false, &mut random);
        let x = activations(5, 64, kind, &mut random);
        let mut whole = vec![0.0; 5 * 24];
        product::<Scalar>(&case.matrix, 0..22, &x, &mut whole, 24);
        for (from, to) in [(0usize, 4usize), (4, 22), (8, 9), (20, 22)] {
            let stride = (to - from).next_multiple_of(PANEL_ROWS);
            let mut part = vec![f32::NAN; 5 * stride];
            product::<Scalar>(&case.matrix, from..to, &x, &mut part, stride);
            for token in 0..5 {
                assert_eq!(
                    part[token * stride..token * stride + to - from],
                    whole[token * 24 + from..token * 24 + to],
                    "{kind:?}, {from}..{to}"
                );
            }
        }
    }
}

#[test]
fn a_row_is_looked_up_as_it_was_encoded() {
    let mut random = Random::new(4);
    for kind in KINDS {
        let case = case(kind, 7, 64, kind == TensorType::Q8_0, &mut random);
        for (row, bytes) in case.encoded.iter().enumerate() {
            let mut found = vec![0.0; 64];
            case.matrix.row(row, &mut found);
            let wanted: Vec<f32> = decode_row(kind, bytes).into_iter().map(|x| x as f32).collect();
            for (found, wanted) in found.iter().zip(&wanted) {
                assert!((found - wanted).abs() <= 1e-6 * wanted.abs().max(1.0), "{kind:?}, row {row}");
            }
        }
    }
}

#[test]
fn a_panel_with_a_row_that_is_not_finite_is_refused_by_that_row() {
    for kind in [TensorType::Q8_0, TensorType::Q4_0, TensorType::Q4_1, TensorType::F16] {
        let mut rows = encode_row(kind, &[1.0; 64]).repeat(PANEL_ROWS);
        let row_bytes = rows.len() / PANEL_ROWS;
        rows[2 * row_bytes..2 * row_bytes + 2].copy_from_slice(&[0, 0x7c]);
        let refused = Matrix::new(kind, PANEL_ROWS, 64).unwrap().set_panels(0, &rows, 1, "w").unwrap_err();
        assert_eq!(refused.to_string(), "invalid GGUF: tensor 'w' holds a value that is not finite in row 2");
    }
}
