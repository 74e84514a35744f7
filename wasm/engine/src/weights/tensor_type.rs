//! The GGUF element types this engine computes with, as ggml defines their bytes.

use crate::error::{Error, Result};

/// Elements of one quantisation block.
pub const BLOCK: usize = 32;
/// Elements of a row of W8 weights that share a scale (`gpu-backend/docs/model.md#84-w8-weights`); the last group of a row may be short.
pub const GROUP: usize = 128;

/// How a tensor's elements are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TensorType {
    /// IEEE single precision.
    F32,
    /// IEEE half precision.
    F16,
    /// bfloat16.
    Bf16,
    /// Per 32: one f16 scale `d`, 32 signed bytes; `w = d * q`.
    Q8_0,
    /// Per 32: one f16 scale `d`, 32 nibbles; `w = d * (q - 8)`.
    Q4_0,
    /// Per 32: f16 scale `d` and minimum `m`, 32 nibbles; `w = d * q + m`.
    Q4_1,
    /// W8: signed bytes, with an f32 scale per row and group of 128 in a tensor beside it; `w = scale * q`.
    I8,
    /// Of W8 weights: the codes that a byte cannot hold. No matrix is of this type.
    I32,
}

impl TensorType {
    /// From ggml's number; the name is for the message.
    pub fn from_ggml(number: u32, tensor: &str) -> Result<Self> {
        match number {
            0 => Ok(Self::F32),
            1 => Ok(Self::F16),
            2 => Ok(Self::Q4_0),
            3 => Ok(Self::Q4_1),
            8 => Ok(Self::Q8_0),
            24 => Ok(Self::I8),
            26 => Ok(Self::I32),
            30 => Ok(Self::Bf16),
            other => Err(Error::UnsupportedModel(format!(
                "tensor '{tensor}' has ggml type {other}; supported are 0 (F32), 1 (F16), 2 (Q4_0), 3 (Q4_1), 8 (Q8_0), \
                 24 (I8), 26 (I32) and 30 (BF16)"
            ))),
        }
    }

    /// As GGUF's tools call it, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Q8_0 => "q8_0",
            Self::Q4_0 => "q4_0",
            Self::Q4_1 => "q4_1",
            Self::I8 => "i8",
            Self::I32 => "i32",
        }
    }

    /// Elements that are stored together.
    pub fn block_elements(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::Bf16 | Self::I8 | Self::I32 => 1,
            Self::Q8_0 | Self::Q4_0 | Self::Q4_1 => BLOCK,
        }
    }

    /// Bytes of `block_elements` elements.
    pub fn block_bytes(self) -> usize {
        match self {
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::I8 => 1,
            Self::Q8_0 => 34,
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
        }
    }

    /// Bytes of a row of `columns` elements, which must be whole blocks.
    pub fn row_bytes(self, columns: usize) -> usize {
        columns / self.block_elements() * self.block_bytes()
    }

    /// Whether products with it quantise the activations to int8 per block.
    pub fn is_quantised(self) -> bool {
        self.block_elements() > 1 || self == Self::I8
    }
}
