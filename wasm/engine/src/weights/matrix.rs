//! A weight matrix in panels of four rows.
//!
//! A kernel's vector register has four 32-bit lanes, and a lane is a row: the same activations, broadcast, meet four rows at once, and each
//! row's sum is formed in one fixed order whatever the kernel and however many tokens are computed together. A panel interleaves its four
//! rows block by block and takes exactly the bytes the rows took in the file:
//!
//! | type | one block of a panel |
//! |---|---|
//! | F32, F16, BF16 | one column: 4 elements |
//! | Q8_0 | `d[4]` f16, then for each 4 columns: 4 bytes of row 0, of row 1, of row 2, of row 3 |
//! | Q4_0 | `d[4]` f16, then 4 vectors: 4 file bytes (two nibbles each) of row 0 to row 3 |
//! | Q4_1 | `d[4]` f16, `m[4]` f16, then as Q4_0 |

use super::tensor_type::{BLOCK, TensorType};
use crate::error::{Error, Result};
use crate::memory::with_capacity;
use half::{bf16, f16};

/// Rows of a panel.
pub const PANEL_ROWS: usize = 4;

/// `[rows, columns]`, immutable once packed.
#[derive(Debug, Clone)]
pub struct Matrix {
    kind: TensorType,
    rows: usize,
    columns: usize,
    data: Vec<u8>,
    has_lowest_code: bool,
}

impl Matrix {
    /// A matrix whose rows are then all filled with `set_row`. Its memory is reserved now and first touched as rows come, so that a table's
    /// claim alone costs nothing.
    pub fn new(kind: TensorType, rows: usize, columns: usize) -> Result<Self> {
        if rows == 0 || columns == 0 || !columns.is_multiple_of(kind.block_elements()) {
            return Err(Error::InvalidGguf(format!(
                "a {kind:?} matrix of {rows} x {columns}: both must be positive and columns a multiple of {}",
                kind.block_elements()
            )));
        }
        let bytes = rows
            .div_ceil(PANEL_ROWS)
            .checked_mul(PANEL_ROWS * kind.row_bytes(columns))
            .ok_or_else(|| Error::InvalidGguf(format!("a matrix of {rows} x {columns} overflows")))?;
        Ok(Self { kind, rows, columns, data: with_capacity(bytes, "weights")?, has_lowest_code: false })
    }

    /// A matrix from dense values, in any type; for tests, tools and derived weights.
    pub fn from_f32(kind: TensorType, rows: usize, columns: usize, values: &[f32]) -> Result<Self> {
        let mut matrix = Self::new(kind, rows, columns)?;
        for row in 0..rows {
            let bytes = super::matrix::encode_row(kind, &values[row * columns..(row + 1) * columns]);
            matrix.set_row(row, &bytes, "matrix")?;
        }
        Ok(matrix)
    }

    /// Element type.
    pub fn kind(&self) -> TensorType {
        self.kind
    }

    /// Output size of a product.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Input size of a product.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Bytes of the packed data.
    pub fn bytes(&self) -> usize {
        self.data.len()
    }

    /// Panels, the last one padded with zero rows.
    pub fn panels(&self) -> usize {
        self.rows.div_ceil(PANEL_ROWS)
    }

    /// Whether a Q8_0 code is -128, whose negation does not fit a signed byte: kernels that negate codes must know.
    pub fn has_lowest_code(&self) -> bool {
        self.has_lowest_code
    }

    /// The packed bytes of `count` panels from `index` on.
    pub fn panels_at(&self, index: usize, count: usize) -> &[u8] {
        let bytes = PANEL_ROWS * self.kind.row_bytes(self.columns);
        &self.data[index * bytes..(index + count) * bytes]
    }

    /// Packs one row as it stands in the file. `name` is for the message when a value is not finite.
    pub fn set_row(&mut self, row: usize, bytes: &[u8], name: &str) -> Result<()> {
        let row_bytes = self.kind.row_bytes(self.columns);
        if row >= self.rows || bytes.len() != row_bytes {
            return Err(Error::InvalidArgument(format!(
                "row {row} of {} bytes for a matrix of {} rows of {row_bytes} bytes",
                bytes.len(),
                self.rows
            )));
        }
        let panel_bytes = PANEL_ROWS * row_bytes;
        let start = row / PANEL_ROWS * panel_bytes;
        if self.data.len() < start + panel_bytes {
            self.data.resize(start + panel_bytes, 0);
        }
        let panel = &mut self.data[start..start + panel_bytes];
        let lane = row % PANEL_ROWS;
        let block = self.kind.block_bytes();
        let halves = match self.kind {
            TensorType::Q4_1 => 2,
            TensorType::Q8_0 | TensorType::Q4_0 => 1,
            TensorType::F32 | TensorType::F16 | TensorType::Bf16 => 0,
        };
        let finite = bytes.chunks_exact(block).all(|source| block_is_finite(self.kind, source, halves));
        if !finite {
            return Err(Error::InvalidGguf(format!("tensor '{name}' holds a value that is not finite in row {row}")));
        }
        if halves == 0 {
            for (source, target) in bytes.chunks_exact(block).zip(panel.chunks_exact_mut(PANEL_ROWS * block)) {
                target[lane * block..(lane + 1) * block].copy_from_slice(source);
            }
            return Ok(());
        }
        let head = halves * 2;
        for (source, target) in bytes.chunks_exact(block).zip(panel.chunks_exact_mut(PANEL_ROWS * block)) {
            for half in 0..halves {
                let at = half * 2 * PANEL_ROWS + lane * 2;
                target[at..at + 2].copy_from_slice(&source[half * 2..half * 2 + 2]);
            }
            let codes = &mut target[head * PANEL_ROWS..];
            for (index, four) in source[head..].chunks_exact(4).enumerate() {
                let at = index * 16 + lane * 4;
                codes[at..at + 4].copy_from_slice(four);
            }
        }
        if self.kind == TensorType::Q8_0 && bytes.chunks_exact(block).any(|source| source[2..].contains(&0x80)) {
            self.has_lowest_code = true;
        }
        Ok(())
    }

    /// Decodes one row, `[columns]`: an embedding look-up.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        let (panel, lane) = (self.panels_at(row / PANEL_ROWS, 1), row % PANEL_ROWS);
        let block = PANEL_ROWS * self.kind.block_bytes();
        let half_at = |bytes: &[u8], index: usize| f16::from_le_bytes([bytes[index * 2], bytes[index * 2 + 1]]).to_f32();
        for (bytes, out) in panel.chunks_exact(block).zip(out.chunks_exact_mut(self.kind.block_elements())) {
            match self.kind {
                TensorType::F32 => {
                    let four = &bytes[lane * 4..lane * 4 + 4];
                    out[0] = f32::from_le_bytes([four[0], four[1], four[2], four[3]]);
                }
                TensorType::F16 => out[0] = half_at(bytes, lane),
                TensorType::Bf16 => out[0] = bf16::from_le_bytes([bytes[lane * 2], bytes[lane * 2 + 1]]).to_f32(),
                TensorType::Q8_0 => {
                    let d = half_at(bytes, lane);
                    for (index, out) in out.iter_mut().enumerate() {
                        let code = bytes[8 + index / 4 * 16 + lane * 4 + index % 4];
                        *out = d * f32::from(code.cast_signed());
                    }
                }
                TensorType::Q4_0 | TensorType::Q4_1 => {
                    let d = half_at(bytes, lane);
                    let (m, head) = if self.kind == TensorType::Q4_1 { (half_at(bytes, 4 + lane), 16) } else { (-8.0 * d, 8) };
                    for (index, out) in out.iter_mut().enumerate() {
                        let byte = index % 16;
                        let pair = bytes[head + byte / 4 * 16 + lane * 4 + byte % 4];
                        let code = if index < 16 { pair & 15 } else { pair >> 4 };
                        *out = d * f32::from(code) + m;
                    }
                }
            }
        }
    }
}

fn block_is_finite(kind: TensorType, block: &[u8], halves: usize) -> bool {
    match kind {
        TensorType::F32 => f32::from_le_bytes([block[0], block[1], block[2], block[3]]).is_finite(),
        TensorType::Bf16 => bf16::from_le_bytes([block[0], block[1]]).is_finite(),
        TensorType::F16 => f16::from_le_bytes([block[0], block[1]]).is_finite(),
        TensorType::Q8_0 | TensorType::Q4_0 | TensorType::Q4_1 => {
            (0..halves).all(|index| f16::from_le_bytes([block[index * 2], block[index * 2 + 1]]).is_finite())
        }
    }
}

/// Encodes dense values as a row of a GGUF tensor, quantising as ggml's reference quantisers do.
pub fn encode_row(kind: TensorType, values: &[f32]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(kind.row_bytes(values.len()));
    for block in values.chunks_exact(kind.block_elements()) {
        match kind {
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
