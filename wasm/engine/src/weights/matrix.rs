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
//! | I8 | of a group of 128: `scale[4]` f32, then codes as in Q8_0; a last group is as long as whole blocks of 32 need, filled with zeros |

use super::names::Slice;
use super::outliers::{Entry, Outliers};
use super::tensor_type::{BLOCK, GROUP, TensorType};
use crate::error::{Error, Result};
use crate::kernel::{Active, Kernel};
use crate::memory::with_capacity;
use core::mem::MaybeUninit;
use core::ops::Range;
use half::{bf16, f16};

/// Rows of a panel.
pub const PANEL_ROWS: usize = 4;
/// Scales of a group of W8 weights in a panel.
pub const GROUP_HEAD_BYTES: usize = PANEL_ROWS * 4;
/// A whole group of W8 weights in a panel.
pub const GROUP_PANEL_BYTES: usize = GROUP_HEAD_BYTES + GROUP * PANEL_ROWS;

/// Rows that each of several matrices of `rows` rows takes where they are packed one behind another, each from a panel on.
pub fn panel_rows(rows: usize) -> usize {
    rows.next_multiple_of(PANEL_ROWS)
}

/// `[rows, columns]`, immutable once packed.
#[derive(Debug, Clone)]
pub struct Matrix {
    kind: TensorType,
    rows: usize,
    columns: usize,
    data: Vec<u8>,
    is_scaled: bool,
    outliers: Option<Box<Outliers>>,
}

impl Matrix {
    /// A matrix whose rows are then all filled with `set_row`. Its memory is reserved now and first touched as rows come, so that a table's
    /// claim alone costs nothing.
    pub fn new(kind: TensorType, rows: usize, columns: usize) -> Result<Self> {
        Self::part(kind, (rows, rows), columns)
    }

    /// As [`Self::new`] of a matrix of `whole` rows of which `rows` are kept, perhaps none.
    pub fn part(kind: TensorType, (whole, rows): (usize, usize), columns: usize) -> Result<Self> {
        if kind == TensorType::I32 {
            return Err(Error::UnsupportedModel("a matrix of type I32".to_owned()));
        }
        if whole == 0 || columns == 0 || !columns.is_multiple_of(kind.block_elements()) {
            return Err(Error::InvalidGguf(format!(
                "a {kind:?} matrix of {whole} x {columns}: both must be positive and columns a multiple of {}",
                kind.block_elements()
            )));
        }
        let bytes = rows
            .div_ceil(PANEL_ROWS)
            .checked_mul(PANEL_ROWS * packed_row_bytes(kind, columns))
            .ok_or_else(|| Error::InvalidGguf(format!("a matrix of {rows} x {columns} overflows")))?;
        Ok(Self { kind, rows, columns, data: with_capacity(bytes, "weights")?, is_scaled: false, outliers: None })
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

    /// Memory that it takes.
    pub fn bytes(&self) -> usize {
        self.data.len() + self.outliers.as_ref().map_or(0, |outliers| outliers.bytes())
    }

    /// Panels, the last one padded with zero rows.
    pub fn panels(&self) -> usize {
        self.rows.div_ceil(PANEL_ROWS)
    }

    /// The packed bytes of a panel.
    pub fn panel(&self, index: usize) -> &[u8] {
        let bytes = self.panel_bytes();
        &self.data[index * bytes..(index + 1) * bytes]
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
        let kind = self.kind;
        let panel = self.panel_mut(row / PANEL_ROWS);
        let lane = row % PANEL_ROWS;
        if kind == TensorType::I8 {
            for (index, code) in bytes.iter().enumerate() {
                panel[code_at(index, lane)] = *code;
            }
            return Ok(());
        }
        let block = kind.block_bytes();
        let halves = match kind {
            TensorType::Q4_1 => 2,
            TensorType::Q8_0 | TensorType::Q4_0 => 1,
            TensorType::F32 | TensorType::F16 | TensorType::Bf16 | TensorType::I8 | TensorType::I32 => 0,
        };
        let finite = bytes.chunks_exact(block).all(|source| block_is_finite(kind, source, halves));
        if !finite {
            return Err(Error::InvalidGguf(format!("tensor '{name}' holds a value that is not finite in row {row}")));
        }
        match block {
            2 => return set_elements::<2>(panel, bytes, lane),
            4 => return set_elements::<4>(panel, bytes, lane),
            _ => {}
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
        Ok(())
    }

    /// Packs whole panels, from `first` on, as [`Self::set_row`] of each of their rows. `rows` are the file's; where a step is given, every so
    /// many of them is packed, the first one included.
    pub fn set_panels(&mut self, first: usize, rows: &[u8], step: usize, name: &str) -> Result<()> {
        let row_bytes = self.kind.row_bytes(self.columns);
        let panels = rows.len().div_ceil(step * row_bytes) / PANEL_ROWS;
        let end = (first + panels) * self.panel_bytes();
        if (first + panels) * PANEL_ROWS <= self.rows {
            let kind = self.kind;
            if Active::pack(kind, rows, step, row_bytes, self.room_of_panels(first, panels)).is_some() {
                // SAFETY: the bytes up to the panels are there, and those of the panels have just been handed out as written.
                unsafe { self.data.set_len(end.max(self.data.len())) };
                return Ok(());
            }
        }
        // Also says what is wrong with which row.
        let packed = rows.chunks(step * row_bytes).take(panels * PANEL_ROWS).enumerate();
        for (row, bytes) in packed {
            self.set_row(first * PANEL_ROWS + row, &bytes[..row_bytes], name)?;
        }
        Ok(())
    }

    /// What a panel takes.
    pub fn panel_bytes(&self) -> usize {
        PANEL_ROWS * packed_row_bytes(self.kind, self.columns)
    }

    /// Room for the packed bytes of panels, those before them being there: panels mostly come in order, and what is written as a whole need not
    /// be cleared first.
    fn room_of_panels(&mut self, first: usize, panels: usize) -> &mut [MaybeUninit<u8>] {
        let (start, end) = (first * self.panel_bytes(), (first + panels) * self.panel_bytes());
        if self.data.len() <= start {
            self.data.resize(start, 0);
            return &mut self.data.spare_capacity_mut()[..end - start];
        }
        self.data.resize(end.max(self.data.len()), 0);
        // SAFETY: bytes that are there may be written as if they were not, and nobody takes one away.
        unsafe { &mut *(core::ptr::from_mut(&mut self.data[start..end]) as *mut [MaybeUninit<u8>]) }
    }

    /// The packed bytes of a panel, which are there from now on.
    fn panel_mut(&mut self, index: usize) -> &mut [u8] {
        let bytes = self.panel_bytes();
        let end = (index + 1) * bytes;
        if self.data.len() < end {
            self.data.resize(end, 0);
        }
        &mut self.data[end - bytes..end]
    }

    /// Decodes one row, `[columns]`: an embedding look-up.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        let (panel, lane) = (self.panel(row / PANEL_ROWS), row % PANEL_ROWS);
        if self.kind == TensorType::I8 {
            for (column, out) in out.iter_mut().enumerate() {
                *out = weight_of_group(panel, column, lane);
            }
            for (column, weight) in self.outliers.iter().flat_map(|outliers| outliers.row(row)) {
                out[column] += weight;
            }
            return;
        }
        let block = PANEL_ROWS * self.kind.block_bytes();
        for (bytes, out) in panel.chunks_exact(block).zip(out.chunks_exact_mut(self.kind.block_elements())) {
            for (index, out) in out.iter_mut().enumerate() {
                *out = weight_of_block(self.kind, bytes, index, lane);
            }
        }
    }

    /// Gives an I8 matrix its scales, `[rows, groups]`. `name` is for the message.
    pub fn set_scales(&mut self, scales: &[f32], name: &str) -> Result<()> {
        let groups = self.columns.div_ceil(GROUP);
        let panel_bytes = self.panel_bytes();
        for (row, scales) in scales.chunks_exact(groups).enumerate().take(self.rows) {
            let start = row / PANEL_ROWS * panel_bytes + row % PANEL_ROWS * 4;
            for (group, scale) in scales.iter().enumerate() {
                if !(*scale > 0.0 && scale.is_finite()) {
                    return Err(Error::InvalidGguf(format!("tensor '{name}' must hold positive finite scales; row {row} holds {scale}")));
                }
                let at = start + group * GROUP_PANEL_BYTES;
                self.data[at..at + 4].copy_from_slice(&scale.to_le_bytes());
            }
        }
        self.is_scaled = true;
        Ok(())
    }

    /// Whether it has the scales that it needs.
    pub fn is_scaled(&self) -> bool {
        self.is_scaled || self.kind != TensorType::I8
    }

    /// Gives an I8 matrix, scales and all, what its codes lack, in ascending order of the rows of the whole, of which it has a slice. `name` is
    /// for the message.
    pub fn set_outliers(&mut self, entries: &[Entry], slice: &Slice, name: &str) -> Result<()> {
        let scale = |row: usize, column: usize| scale_of_group(self.panel(row / PANEL_ROWS), column, row % PANEL_ROWS);
        self.outliers = Some(Box::new(Outliers::new(slice, self.columns, entries, scale, name)?));
        Ok(())
    }

    /// Adds `x` times a column of the codes, outliers left out, to `y`, `[rows.len()]`: a product with a single input.
    pub fn add_column(&self, column: usize, rows: Range<usize>, x: f32, y: &mut [f32]) {
        let mut panel = [0.0; PANEL_ROWS];
        for (row, y) in rows.zip(y) {
            if row % PANEL_ROWS == 0 {
                panel = self.column_of_panel(row / PANEL_ROWS, column);
            }
            *y += panel[row % PANEL_ROWS] * x;
        }
    }

    /// Adds the products of the codes' outliers with `x`, `[columns]`, to `y`, `[rows.len()]`.
    pub fn add_outliers(&self, rows: Range<usize>, x: &[f32], y: &mut [f32]) {
        if let Some(outliers) = &self.outliers {
            outliers.add_products(rows, x, y);
        }
    }

    /// The weights of a column in the four rows of a panel.
    fn column_of_panel(&self, panel: usize, column: usize) -> [f32; PANEL_ROWS] {
        let bytes = self.panel(panel);
        let elements = self.kind.block_elements();
        let block_bytes = PANEL_ROWS * self.kind.block_bytes();
        let block = &bytes[column / elements * block_bytes..];
        core::array::from_fn(|lane| match self.kind {
            TensorType::I8 => weight_of_group(bytes, column, lane),
            TensorType::I32 => 0.0,
            _ => weight_of_block(self.kind, &block[..block_bytes], column % elements, lane),
        })
    }
}

/// Puts elements of so many bytes in their places of a panel.
fn set_elements<const BYTES: usize>(panel: &mut [u8], row: &[u8], lane: usize) -> Result<()> {
    let places = panel.as_chunks_mut::<BYTES>().0.iter_mut().skip(lane).step_by(PANEL_ROWS);
    places.zip(row.as_chunks::<BYTES>().0).for_each(|(place, element)| *place = *element);
    Ok(())
}

/// Bytes of a row of a panel: as in the file, but for I8, which has its scales and whole blocks.
pub fn packed_row_bytes(kind: TensorType, columns: usize) -> usize {
    match kind {
        TensorType::I8 => columns.div_ceil(GROUP) * 4 + columns.next_multiple_of(BLOCK),
        _ => kind.row_bytes(columns),
    }
}

/// Memory that a matrix takes.
pub fn packed_bytes(kind: TensorType, rows: usize, columns: usize) -> u64 {
    rows.next_multiple_of(PANEL_ROWS) as u64 * packed_row_bytes(kind, columns) as u64
}

/// Where the code of a column lies in a panel of I8.
fn code_at(column: usize, lane: usize) -> usize {
    column / GROUP * GROUP_PANEL_BYTES + GROUP_HEAD_BYTES + column % GROUP / 4 * 16 + lane * 4 + column % 4
}

fn scale_of_group(panel: &[u8], column: usize, lane: usize) -> f32 {
    let at = column / GROUP * GROUP_PANEL_BYTES + lane * 4;
    f32::from_le_bytes([panel[at], panel[at + 1], panel[at + 2], panel[at + 3]])
}

fn weight_of_group(panel: &[u8], column: usize, lane: usize) -> f32 {
    scale_of_group(panel, column, lane) * f32::from(panel[code_at(column, lane)].cast_signed())
}

/// Element `index` of a panel's block, in row `lane`.
fn weight_of_block(kind: TensorType, block: &[u8], index: usize, lane: usize) -> f32 {
    let half_at = |at: usize| f16::from_le_bytes([block[at * 2], block[at * 2 + 1]]).to_f32();
    match kind {
        TensorType::F32 => f32::from_le_bytes([block[lane * 4], block[lane * 4 + 1], block[lane * 4 + 2], block[lane * 4 + 3]]),
        TensorType::F16 => half_at(lane),
        TensorType::Bf16 => bf16::from_le_bytes([block[lane * 2], block[lane * 2 + 1]]).to_f32(),
        TensorType::Q8_0 => half_at(lane) * f32::from(block[8 + index / 4 * 16 + lane * 4 + index % 4].cast_signed()),
        TensorType::Q4_0 | TensorType::Q4_1 => {
            let d = half_at(lane);
            let (m, head) = if kind == TensorType::Q4_1 { (half_at(4 + lane), 16) } else { (-8.0 * d, 8) };
            let byte = index % 16;
            let pair = block[head + byte / 4 * 16 + lane * 4 + byte % 4];
            d * f32::from(if index < 16 { pair & 15 } else { pair >> 4 }) + m
        }
        TensorType::I8 | TensorType::I32 => 0.0,
    }
}

fn block_is_finite(kind: TensorType, block: &[u8], halves: usize) -> bool {
    match kind {
        TensorType::F32 => f32::from_le_bytes([block[0], block[1], block[2], block[3]]).is_finite(),
        TensorType::Bf16 => bf16::from_le_bytes([block[0], block[1]]).is_finite(),
        TensorType::F16 => f16::from_le_bytes([block[0], block[1]]).is_finite(),
        TensorType::I8 | TensorType::I32 => true,
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
