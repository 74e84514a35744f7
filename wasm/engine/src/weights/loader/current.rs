//! The tensor that is being read, row by row.

use super::super::gguf::TensorInfo;
use super::super::matrix::{Matrix, PANEL_ROWS, panel_rows};
use super::super::names::{Form, Slice, Spec};
use super::{Tensor, row_bytes};
use crate::error::Result;
use crate::memory::zeroed;

#[derive(Debug)]
pub(super) struct Current {
    pub(super) info: TensorInfo,
    pub(super) spec: Spec,
    pub(super) slice: Slice,
    pub(super) head_dim: usize,
    pub(super) tensor: Tensor,
    pub(super) next_row: usize,
}

impl Current {
    /// The next row that is kept; none once the tensor is complete.
    pub(super) fn needed_row(&self) -> Option<usize> {
        match self.tensor {
            Tensor::Vector(_) => (self.next_row == 0).then_some(0),
            Tensor::Matrix(_) | Tensor::Scales(_) | Tensor::Outliers(_) => self.slice.next(self.next_row),
        }
    }

    /// Where that row lies in the file.
    pub(super) fn needed_from(&self) -> Option<u64> {
        let bytes = row_bytes(&self.info, &self.spec) as u64;
        self.needed_row().map(|row| self.info.offset + row as u64 * bytes)
    }

    /// How many rows, the next one that is kept and those behind it, are packed together where so many are there: whole panels of what the rank
    /// has, if need be of more rows than are there.
    pub(super) fn rows_together(&self, there: usize) -> usize {
        let (Tensor::Matrix(_), Some(row)) = (&self.tensor, self.needed_row()) else {
            return 1;
        };
        let (together, most) = match self.spec.form {
            Form::Matrix => (PANEL_ROWS, there),
            Form::HeadMatrices if self.head_dim.is_multiple_of(PANEL_ROWS) => (PANEL_ROWS, there),
            Form::RotaryMatrix if self.head_dim.is_multiple_of(2 * PANEL_ROWS) => (2 * PANEL_ROWS, 2 * PANEL_ROWS),
            _ => return 1,
        };
        let kept = most.min(self.slice.kept_from(row)) / together * together;
        match self.slice.place(row) {
            Some(place) if place.is_multiple_of(together) && self.slice.kept_from(row) >= together => kept.max(together),
            _ => 1,
        }
    }

    /// Takes so many rows, as [`Self::rows_together`] has told.
    pub(super) fn set_next_rows(&mut self, bytes: &[u8], row_bytes: usize) -> Result<()> {
        let row = self.needed_row().unwrap_or(self.next_row);
        self.next_row = row + bytes.len() / row_bytes;
        let (Tensor::Matrix(matrix), Some(place), true) = (&mut self.tensor, self.slice.place(row), bytes.len() > row_bytes) else {
            return self.set_row(row, bytes);
        };
        if self.spec.form != Form::RotaryMatrix {
            return matrix.set_panels(place / PANEL_ROWS, bytes, 1, &self.info.name);
        }
        // Every other row is of one half of the head, and the others of the other.
        for second in 0..2 {
            let panel = half_split(place + second, self.head_dim) / PANEL_ROWS;
            matrix.set_panels(panel, &bytes[second * row_bytes..], 2, &self.info.name)?;
        }
        Ok(())
    }

    fn set_row(&mut self, row: usize, bytes: &[u8]) -> Result<()> {
        let rotary = self.spec.form == Form::RotaryVector;
        let row = match self.tensor {
            Tensor::Vector(_) => row,
            Tensor::Matrix(_) | Tensor::Scales(_) | Tensor::Outliers(_) => match self.slice.place(row) {
                Some(place) => place,
                // Another rank's.
                None => return Ok(()),
            },
        };
        match &mut self.tensor {
            Tensor::Matrix(matrix) => {
                let target = match self.spec.form {
                    Form::RotaryMatrix => half_split(row, self.head_dim),
                    Form::HeadMatrices => row / self.head_dim * panel_rows(self.head_dim) + row % self.head_dim,
                    _ => row,
                };
                matrix.set_row(target, bytes, &self.info.name)
            }
            Tensor::Vector(_) => self.set_vector(bytes, rotary),
            Tensor::Scales(scales) => {
                scales.extend(words(bytes).map(f32::from_le_bytes));
                Ok(())
            }
            Tensor::Outliers(entries) => {
                let mut entry = [0; 3];
                for (target, word) in entry.iter_mut().zip(words(bytes)) {
                    *target = i32::from_le_bytes(word);
                }
                entries.push(entry);
                Ok(())
            }
        }
    }

    fn set_vector(&mut self, bytes: &[u8], rotary: bool) -> Result<()> {
        let mut decoded = Matrix::new(self.info.kind, 1, self.info.columns())?;
        decoded.set_row(0, bytes, &self.info.name)?;
        let mut values = zeroed(self.info.columns(), "weights")?;
        decoded.row(0, &mut values);
        if let Tensor::Vector(vector) = &mut self.tensor {
            for (index, value) in values.into_iter().enumerate() {
                // Whole heads are kept, so a number keeps its place within its own.
                if let Some(place) = self.slice.place(index) {
                    vector[if rotary { half_split(place, self.head_dim) } else { place }] = value;
                }
            }
        }
        Ok(())
    }
}

fn words(bytes: &[u8]) -> impl Iterator<Item = [u8; 4]> {
    bytes.chunks_exact(4).map(|word| [word[0], word[1], word[2], word[3]])
}

/// Where row `row` of a tensor in GGUF's rotary order goes: pairs that lie side by side in the file are half a head apart here.
fn half_split(row: usize, head_dim: usize) -> usize {
    let (head, within) = (row / head_dim, row % head_dim);
    head * head_dim + within % 2 * (head_dim / 2) + within / 2
}
