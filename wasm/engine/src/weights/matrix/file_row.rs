//! A row as it stands in a file, block after block.

use super::super::tensor_type::{BLOCK, TensorType};
use half::{bf16, f16};

/// f16 numbers at the beginning of a block: what its codes are worth.
pub(super) fn halves_of_block(kind: TensorType) -> usize {
    match kind {
        TensorType::Q4_1 => 2,
        TensorType::Q8_0 | TensorType::Q4_0 => 1,
        TensorType::F32 | TensorType::F16 | TensorType::Bf16 | TensorType::I8 | TensorType::I32 => 0,
    }
}

/// Whether all numbers in it are finite.
pub(super) fn row_is_finite(kind: TensorType, bytes: &[u8]) -> bool {
    bytes.chunks_exact(kind.block_bytes()).all(|block| block_is_finite(kind, block))
}

fn block_is_finite(kind: TensorType, block: &[u8]) -> bool {
    match kind {
        TensorType::F32 => f32::from_le_bytes([block[0], block[1], block[2], block[3]]).is_finite(),
        TensorType::Bf16 => bf16::from_le_bytes([block[0], block[1]]).is_finite(),
        TensorType::F16 => f16::from_le_bytes([block[0], block[1]]).is_finite(),
        TensorType::I8 | TensorType::I32 => true,
        TensorType::Q8_0 | TensorType::Q4_0 | TensorType::Q4_1 => {
            (0..halves_of_block(kind)).all(|index| f16::from_le_bytes([block[index * 2], block[index * 2 + 1]]).is_finite())
        }
    }
}

/// Encodes dense values as a row of a GGUF tensor, quantising as ggml's reference quantisers do.
pub fn encode_row(kind: TensorType, values: &[f32]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(kind.row_bytes(values.len()));
    for block in values.chunks_exact(kind.block_elements()) {
        match kind {
            // Their scales stand beside them; the nearest whole number is the code.
            #[allow(clippy::cast_possible_truncation)]
            TensorType::I8 => bytes.push((block[0].round_ties_even() as i8).cast_unsigned()),
            #[allow(clippy::cast_possible_truncation)]
            TensorType::I32 => bytes.extend_from_slice(&(block[0].round_ties_even() as i32).to_le_bytes()),
            TensorType::F32 => bytes.extend_from_slice(&block[0].to_le_bytes()),
            TensorType::F16 => bytes.extend_from_slice(&f16::from_f32(block[0]).to_le_bytes()),
            TensorType::Bf16 => bytes.extend_from_slice(&bf16::from_f32(block[0]).to_le_bytes()),
            TensorType::Q8_0 => {
                let largest = block.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
                let d = largest / 127.0;
                let inverse = if d > 0.0 { 1.0 / d } else { 0.0 };
                bytes.extend_from_slice(&f16::from_f32(d).to_le_bytes());
                #[allow(clippy::cast_possible_truncation)]
                bytes.extend(block.iter().map(|x| ((x * inverse).round() as i8).cast_unsigned()));
            }
            TensorType::Q4_0 | TensorType::Q4_1 => {
                let (lowest, highest) = block.iter().fold((f32::MAX, f32::MIN), |(low, high), x| (low.min(*x), high.max(*x)));
                let (d, m) = if kind == TensorType::Q4_1 {
                    ((highest - lowest) / 15.0, lowest)
                } else {
                    let extreme = if highest.abs() > lowest.abs() { highest } else { lowest };
                    (extreme / -8.0, extreme)
                };
                let inverse = if d == 0.0 { 0.0 } else { 1.0 / d };
                bytes.extend_from_slice(&f16::from_f32(d).to_le_bytes());
                if kind == TensorType::Q4_1 {
                    bytes.extend_from_slice(&f16::from_f32(m).to_le_bytes());
                }
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                let code = |x: f32| {
                    let shifted = if kind == TensorType::Q4_1 { (x - m) * inverse + 0.5 } else { x * inverse + 8.5 };
                    (shifted as u8).min(15)
                };
                bytes.extend((0..BLOCK / 2).map(|index| code(block[index]) | (code(block[index + BLOCK / 2]) << 4)));
            }
        }
    }
    bytes
}
