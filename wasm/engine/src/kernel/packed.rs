//! Codes in the order in which vector kernels read them: block by block, the tokens of a tile side by side, each with what its code is worth.

use super::TILE;
use crate::weights::TensorType;
use crate::weights::tensor_type::BLOCK;

/// A token's block as nibbles meet it.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Bytes {
    /// As in the activations.
    pub codes: [i8; BLOCK],
    /// What a code is worth.
    pub scale: f32,
    /// Scale times the sum of the codes.
    pub sum: f32,
}

/// A token's block as bytes meet it.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Words {
    /// As [`super::Kernel::load`] puts them.
    pub codes: [i16; BLOCK],
    /// What a code is worth.
    pub scale: f32,
}

/// Which of the two a type's kernels read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// [`Bytes`]
    Bytes,
    /// [`Words`]
    Words,
}

impl Form {
    /// None of types that meet the values themselves.
    pub fn of(kind: TensorType) -> Option<Self> {
        match kind {
            TensorType::Q4_0 | TensorType::Q4_1 => Some(Self::Bytes),
            TensorType::Q8_0 | TensorType::I8 => Some(Self::Words),
            TensorType::F32 | TensorType::F16 | TensorType::Bf16 | TensorType::I32 => None,
        }
    }
}

/// The tokens of a pass are computed in tiles of four, then one of two, then one alone: the first token of the tile of this one, and how many
/// it has.
pub fn tile_of(token: usize, tokens: usize) -> (usize, usize) {
    let fours = tokens / TILE * TILE;
    let pairs = tokens / 2 * 2;
    match token {
        _ if token < fours => (token / TILE * TILE, TILE),
        _ if token < pairs => (fours, 2),
        _ => (token, 1),
    }
}
