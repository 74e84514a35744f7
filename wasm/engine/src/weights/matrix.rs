//! A weight matrix in panels of four rows.
//!
//! A kernel's vector register has four 32-bit lanes, and a lane is a row: the same activations, broadcast, meet four rows at once, and each
//! row's sum is formed in one fixed order whatever the kernel and however many tokens are computed together.

mod file_row;
pub(crate) mod panel;

use super::names::Slice;
use super::outliers::{Entry, Outliers};
use super::tensor_type::{GROUP, TensorType};
use crate::error::{Error, Result};
use crate::kernel::{Active, Kernel};
use crate::memory::with_capacity;
use core::mem::MaybeUninit;
use core::ops::Range;
pub use file_row::encode_row;
pub use panel::{GROUP_HEAD_BYTES, GROUP_PANEL_BYTES, PANEL_ROWS, packed_bytes, packed_row_bytes, panel_rows};
use panel::{put_row, scale_at, scale_of_group};

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
            let bytes = encode_row(kind, &values[row * columns..(row + 1) * columns]);
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
        if !file_row::row_is_finite(self.kind, bytes) {
            return Err(Error::InvalidGguf(format!("tensor '{name}' holds a value that is not finite in row {row}")));
        }
        put_row(self.kind, self.panel_mut(row / PANEL_ROWS), row % PANEL_ROWS, bytes);
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
        panel::row(self.kind, self.panel(row / PANEL_ROWS), row % PANEL_ROWS, out);
        for (column, weight) in self.outliers.iter().flat_map(|outliers| outliers.row(row)) {
            out[column] += weight;
        }
    }

    /// Gives an I8 matrix its scales, `[rows, groups]`. `name` is for the message.
    pub fn set_scales(&mut self, scales: &[f32], name: &str) -> Result<()> {
        let groups = self.columns.div_ceil(GROUP);
        let panel_bytes = self.panel_bytes();
        for (row, scales) in scales.chunks_exact(groups).enumerate().take(self.rows) {
            let panel = row / PANEL_ROWS * panel_bytes;
            for (group, scale) in scales.iter().enumerate() {
                if !(*scale > 0.0 && scale.is_finite()) {
                    return Err(Error::InvalidGguf(format!("tensor '{name}' must hold positive finite scales; row {row} holds {scale}")));
                }
                let at = panel + scale_at(group * GROUP, row % PANEL_ROWS);
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
        let mut weights = [0.0; PANEL_ROWS];
        for (row, y) in rows.zip(y) {
            if row % PANEL_ROWS == 0 {
                weights = panel::column(self.kind, self.panel(row / PANEL_ROWS), column);
            }
            *y += weights[row % PANEL_ROWS] * x;
        }
    }

    /// Adds the products of the codes' outliers with `x`, `[columns]`, to `y`, `[rows.len()]`.
    pub fn add_outliers(&self, rows: Range<usize>, x: &[f32], y: &mut [f32]) {
        if let Some(outliers) = &self.outliers {
            outliers.add_products(rows, x, y);
        }
    }
}
