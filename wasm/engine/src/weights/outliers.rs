//! Codes of W8 weights that a byte cannot hold (`gpu-backend/docs/model.md#84-w8-weights`: about one in a hundred of the released
//! checkpoint): what their bytes lack, in order, so that nothing saturates.

use super::names::Slice;
use crate::error::{Error, Result};
use crate::memory::{bytes_of, with_capacity, zeroed};
use core::ops::Range;

/// One entry of a file: row, column, and what the code in the matrix lacks.
pub type Entry = [i32; 3];

/// A sparse matrix beside the dense one.
#[derive(Debug, Clone)]
pub struct Outliers {
    /// `[rows + 1]`: where each row's entries start.
    starts: Vec<u32>,
    columns: Vec<u32>,
    /// In weights, not in codes.
    values: Vec<f32>,
}

impl Outliers {
    /// Those of a slice's rows, from entries in ascending order of row, then column, of the whole; `scale(row, column)` is what a code of the
    /// slice is worth. `name` is for the message.
    pub fn new(slice: &Slice, columns: usize, entries: &[Entry], scale: impl Fn(usize, usize) -> f32, name: &str) -> Result<Self> {
        const WHAT: &str = "weights";
        let (whole, rows) = (slice.whole(), slice.len());
        let mut outliers = Self {
            starts: zeroed(rows + 1, WHAT)?,
            columns: with_capacity(entries.len(), WHAT)?,
            values: with_capacity(entries.len(), WHAT)?,
        };
        let mut previous = None;
        for (index, entry) in entries.iter().enumerate() {
            let place =
                (usize::try_from(entry[0]).ok().filter(|row| *row < whole), usize::try_from(entry[1]).ok().filter(|at| *at < columns));
            let (Some(row), Some(column)) = place else {
                return Err(Error::InvalidGguf(format!(
                    "tensor '{name}', entry {index}, must lie within {whole} rows of {columns}; it is at {} and {}",
                    entry[0], entry[1]
                )));
            };
            if previous.is_some_and(|previous| previous >= (row, column)) {
                return Err(Error::InvalidGguf(format!("tensor '{name}', entry {index}, must follow the one before it in row and column")));
            }
            previous = Some((row, column));
            let Some(row) = slice.place(row) else {
                continue;
            };
            outliers.starts[row + 1] += 1;
            outliers.columns.push(entry[1].unsigned_abs());
            // Whole below 2^24, as the writer sees to; beyond, the nearest f32.
            #[allow(clippy::cast_precision_loss)]
            outliers.values.push(entry[2] as f32 * scale(row, column));
        }
        for row in 0..rows {
            outliers.starts[row + 1] += outliers.starts[row];
        }
        Ok(outliers)
    }

    /// Columns and weights of a row.
    pub fn row(&self, row: usize) -> impl Iterator<Item = (usize, f32)> {
        let range = self.starts[row] as usize..self.starts[row + 1] as usize;
        self.columns[range.clone()].iter().map(|column| *column as usize).zip(self.values[range].iter().copied())
    }

    /// Adds the products of these rows with `x`, `[columns]`, to `y`, `[rows]`.
    pub fn add_products(&self, rows: Range<usize>, x: &[f32], y: &mut [f32]) {
        for (row, y) in rows.zip(y) {
            for (column, weight) in self.row(row) {
                *y += weight * x[column];
            }
        }
    }

    /// Memory that it takes.
    pub fn bytes(&self) -> usize {
        bytes_of::<u32>(self.starts.len() + self.columns.len()) + bytes_of::<f32>(self.values.len())
    }

    /// Memory that so many entries of a matrix with so many rows take.
    pub fn bytes_of(rows: usize, entries: usize) -> u64 {
        4 * (rows as u64 + 1) + 8 * entries as u64
    }
}
