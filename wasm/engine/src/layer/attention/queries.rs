//! Queries as they meet keys: as computed or as spikes, dense or as codes with a scale.

use crate::error::Result;
use crate::kernel::{Activations, Active, load, quantise};
use crate::memory::Allowance;
use crate::state::{KvShape, KvType, MAX_HEAD_DIM};

/// What meets the keys, `[tokens, heads, head_dim]`.
#[derive(Debug, Clone, Copy)]
pub enum Queries<'a> {
    /// As computed; int8 keys meet them rounded to int8.
    Values(&'a [f32]),
    /// What has fired, a row for each token and head from `first_row` on; int8 keys meet the very counts.
    Spikes {
        /// `[rows, head_dim]`
        spikes: &'a Activations,
        /// Of the first token's first head.
        first_row: usize,
    },
}

impl Queries<'_> {
    /// Whether they have fired.
    pub fn are_spikes(&self) -> bool {
        matches!(self, Self::Spikes { .. })
    }

    /// Token's head number `row`.
    fn values(&self, row: usize, dim: usize) -> &[f32] {
        match self {
            Self::Values(values) => &values[row * dim..(row + 1) * dim],
            Self::Spikes { spikes, first_row } => &spikes.values()[(first_row + row) * dim..(first_row + row + 1) * dim],
        }
    }

    /// Fills `codes`, of a query `dim` wide, and returns their scale; false where they leave something out.
    fn codes(&self, row: usize, dim: usize, codes: &mut [i16]) -> (f32, bool) {
        match self {
            Self::Values(_) => {
                let mut rounded = [0i8; MAX_HEAD_DIM];
                let rounded = &mut rounded[..dim];
                let scale = quantise(self.values(row, dim), rounded);
                load::<Active>()(rounded, codes);
                (scale, true)
            }
            Self::Spikes { spikes, first_row } => {
                let row = first_row + row;
                load::<Active>()(&spikes.codes()[row * spikes.code_stride()..][..dim], codes);
                (spikes.scales()[row * spikes.blocks()], !spikes.is_wide(row))
            }
        }
    }
}

/// Queries of a tile, scaled by `1 / sqrt(head_dim)`.
#[derive(Debug, Default)]
pub struct Loaded {
    /// `[rows, head_dim]` padded to whole groups of four, of int8 keys: codes as the kernel meets them.
    pub codes: Vec<i16>,
    /// What a code is worth, `[rows]`.
    pub scales: Vec<f32>,
    /// `[rows, head_dim]` of f32 keys; of int8 keys those of the wide rows.
    pub dense: Vec<f32>,
    /// Rows whose codes leave something out; their values are in `dense`.
    pub wide: Vec<usize>,
    pub rows: usize,
}

impl Loaded {
    pub fn reserve(&mut self, rows: usize, dim: usize, allowance: &mut Allowance) -> Result<()> {
        allowance.reserve(&mut self.codes, rows * dim.next_multiple_of(4))?;
        allowance.reserve(&mut self.scales, rows)?;
        allowance.reserve(&mut self.dense, rows * dim)?;
        allowance.reserve(&mut self.wide, rows)
    }

    /// Forgets the queries it holds.
    pub fn clear(&mut self) {
        self.rows = 0;
        self.codes.clear();
        self.scales.clear();
        self.dense.clear();
        self.wide.clear();
    }

    /// Takes `rows` more queries, which are `row_of(index)` of all.
    pub fn add(&mut self, shape: KvShape, rows: usize, queries: Queries<'_>, row_of: impl Fn(usize) -> usize) {
        #[allow(clippy::cast_precision_loss)]
        let scale = 1.0 / (shape.head_dim as f32).sqrt();
        let first = self.rows;
        self.rows += rows;
        match shape.kind {
            KvType::F32 => {
                for row in 0..rows {
                    self.dense.extend(queries.values(row_of(row), shape.head_dim).iter().map(|x| x * scale));
                }
            }
            KvType::Int8 => {
                let padded = shape.padded_dim();
                self.codes.resize(self.rows * padded, 0);
                for row in 0..rows {
                    let codes = &mut self.codes[(first + row) * padded..][..padded];
                    let (of_codes, whole) = queries.codes(row_of(row), shape.head_dim, codes);
                    self.scales.push(of_codes * scale);
                    if !whole {
                        self.wide.push(first + row);
                        self.dense.extend(queries.values(row_of(row), shape.head_dim).iter().map(|x| x * scale));
                    }
                }
            }
        }
    }
}
