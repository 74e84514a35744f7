//! Keys and values of 32 tokens in one layer.

use super::cells::Cells;
use crate::error::Result;
use crate::kernel::MIX_COLUMNS;
use crate::memory::zeroed;

/// Tokens of a page.
pub const PAGE_TOKENS: usize = 32;
/// Tokens of a key panel: one for each lane of a kernel.
pub const PANEL_TOKENS: usize = 4;
/// The widest head that [`Page::write`]'s buffer holds.
pub const MAX_HEAD_DIM: usize = 1024;

/// About what pages take that lie side by side: enough for a processor to foresee a walk through them.
const RUN_BYTES: usize = 112 << 10;
const WHAT: &str = "a page of keys and values";

const LEAST_SCALE: f32 = 1e-5;
const LARGEST_SCALE: f32 = 1e4;

/// How keys and values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KvType {
    /// As computed.
    F32,
    /// int8 codes with a scale per token and head.
    Int8,
}

/// Sizes of keys and values in a softmax layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvShape {
    /// KV heads.
    pub heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Storage.
    pub kind: KvType,
}

impl KvShape {
    /// Key width in codes: whole groups of four.
    pub fn padded_dim(&self) -> usize {
        self.head_dim.next_multiple_of(4)
    }

    /// Bytes of one page.
    pub fn page_bytes(&self) -> usize {
        let tokens = PAGE_TOKENS * self.heads;
        match self.kind {
            KvType::F32 => tokens * self.head_dim * 2 * 4,
            KvType::Int8 => tokens * (self.padded_dim() + self.head_dim + 8),
        }
    }

    /// How many full pages are put side by side; one where that is too much for a moment's memory.
    pub(super) fn run_pages(&self) -> usize {
        (RUN_BYTES / self.page_bytes()).max(1)
    }

    /// Bytes of one token in a state file, where keys are not padded.
    pub(super) fn saved_token_bytes(&self) -> usize {
        match self.kind {
            KvType::F32 => self.heads * self.head_dim * 2 * 4,
            KvType::Int8 => self.heads * (self.head_dim * 2 + 8),
        }
    }
}

/// | part | order |
/// |---|---|
/// | f32 keys | `[head, panel, dim, token in panel]` |
/// | int8 keys | `[head, panel, dim / 4, token in panel, dim % 4]` |
/// | f32 values | `[head, token, dim]` |
/// | int8 values | `[head, dim / 8, token / 2, dim % 8, token % 2]`, the last columns of a head as many as there are |
/// | scales | `[head, token]` |
#[derive(Debug)]
pub enum Page {
    /// Dense.
    F32 {
        /// Keys after RoPE.
        keys: Cells<f32>,
        /// Values.
        values: Cells<f32>,
    },
    /// Quantised.
    Int8 {
        /// Key codes.
        keys: Cells<i8>,
        /// Value codes.
        values: Cells<i8>,
        /// What a key code is worth.
        key_scales: Cells<f32>,
        /// What a value code is worth.
        value_scales: Cells<f32>,
    },
}

impl Page {
    pub(super) fn new(shape: KvShape) -> Result<Self> {
        let tokens = PAGE_TOKENS * shape.heads;
        Ok(match shape.kind {
            KvType::F32 => Self::F32 { keys: own(tokens * shape.head_dim)?, values: own(tokens * shape.head_dim)? },
            KvType::Int8 => Self::Int8 {
                keys: own(tokens * shape.padded_dim())?,
                values: own(tokens * shape.head_dim)?,
                key_scales: own(tokens)?,
                value_scales: own(tokens)?,
            },
        })
    }

    /// Whether it lies beside its neighbours.
    pub(super) fn is_joined(&self) -> bool {
        match self {
            Self::F32 { keys, .. } => keys.is_stretch(),
            Self::Int8 { keys, .. } => keys.is_stretch(),
        }
    }

    /// Copies of full pages of one shape, side by side: keys after keys, values after values.
    pub(super) fn join<'a>(pages: impl Iterator<Item = &'a Self> + Clone, kind: KvType) -> Result<Vec<Self>> {
        match kind {
            KvType::F32 => {
                let parts = pages.filter_map(|page| if let Self::F32 { keys, values } = page { Some((keys, values)) } else { None });
                let keys = Cells::join(parts.clone().map(|(keys, _)| keys), WHAT)?;
                let values = Cells::join(parts.map(|(_, values)| values), WHAT)?;
                Ok(keys.into_iter().zip(values).map(|(keys, values)| Self::F32 { keys, values }).collect())
            }
            KvType::Int8 => {
                let parts = pages.filter_map(|page| match page {
                    Self::Int8 { keys, values, key_scales, value_scales } => Some(((keys, values), (key_scales, value_scales))),
                    Self::F32 { .. } => None,
                });
                let keys = Cells::join(parts.clone().map(|((keys, _), _)| keys), WHAT)?;
                let values = Cells::join(parts.clone().map(|((_, values), _)| values), WHAT)?;
                let key_scales = Cells::join(parts.clone().map(|(_, (keys, _))| keys), WHAT)?;
                let value_scales = Cells::join(parts.map(|(_, (_, values))| values), WHAT)?;
                let all = keys.into_iter().zip(values).zip(key_scales.into_iter().zip(value_scales));
                Ok(all.map(|((keys, values), (key_scales, value_scales))| Self::Int8 { keys, values, key_scales, value_scales }).collect())
            }
        }
    }

    /// A copy, or `OutOfMemory`.
    pub(super) fn copy(&self, shape: KvShape) -> Result<Self> {
        let mut copy = Self::new(shape)?;
        match (&mut copy, self) {
            (Self::F32 { keys, values }, Self::F32 { keys: from_keys, values: from_values }) => {
                keys.copy_from_slice(from_keys);
                values.copy_from_slice(from_values);
            }
            (
                Self::Int8 { keys, values, key_scales, value_scales },
                Self::Int8 { keys: from_keys, values: from_values, key_scales: from_key_scales, value_scales: from_value_scales },
            ) => {
                keys.copy_from_slice(from_keys);
                values.copy_from_slice(from_values);
                key_scales.copy_from_slice(from_key_scales);
                value_scales.copy_from_slice(from_value_scales);
            }
            // Both were made for `shape`.
            (Self::F32 { .. }, Self::Int8 { .. }) | (Self::Int8 { .. }, Self::F32 { .. }) => {}
        }
        Ok(copy)
    }

    /// Writes the token at `slot` of the page; `key` and `value` are `[heads, head_dim]`.
    pub(super) fn write(&mut self, shape: KvShape, slot: usize, key: &[f32], value: &[f32]) {
        let dim = shape.head_dim;
        match self {
            Self::F32 { keys, values } => {
                for head in 0..shape.heads {
                    for d in 0..dim {
                        keys[dense_key_index(dim, head, slot, d)] = key[head * dim + d];
                    }
                    let at = (head * PAGE_TOKENS + slot) * dim;
                    values[at..at + dim].copy_from_slice(&value[head * dim..(head + 1) * dim]);
                }
            }
            Self::Int8 { keys, values, key_scales, value_scales } => {
                let mut codes = [0i8; MAX_HEAD_DIM];
                for head in 0..shape.heads {
                    let row = head * PAGE_TOKENS + slot;
                    let codes = &mut codes[..dim];
                    key_scales[row] = round_row(&key[head * dim..(head + 1) * dim], codes);
                    for (d, code) in codes.iter().enumerate() {
                        keys[code_key_index(shape.padded_dim(), head, slot, d)] = *code;
                    }
                    value_scales[row] = round_row(&value[head * dim..(head + 1) * dim], codes);
                    for (d, code) in codes.iter().enumerate() {
                        values[code_value_index(dim, head, slot, d)] = *code;
                    }
                }
            }
        }
    }
}

fn own<T: Copy + Default>(length: usize) -> Result<Cells<T>> {
    zeroed(length, WHAT).map(Cells::Own)
}

impl Page {
    /// Writes the key of one head alone, `[head_dim]`, as [`Self::write`] does.
    pub(super) fn write_key(&mut self, shape: KvShape, head: usize, slot: usize, key: &[f32]) {
        let dim = shape.head_dim;
        match self {
            Self::F32 { keys, .. } => {
                for (d, value) in key.iter().enumerate() {
                    keys[dense_key_index(dim, head, slot, d)] = *value;
                }
            }
            Self::Int8 { keys, key_scales, .. } => {
                let mut codes = [0i8; MAX_HEAD_DIM];
                let codes = &mut codes[..dim];
                key_scales[head * PAGE_TOKENS + slot] = round_row(key, codes);
                for (d, code) in codes.iter().enumerate() {
                    keys[code_key_index(shape.padded_dim(), head, slot, d)] = *code;
                }
            }
        }
    }

    /// Takes the value of one head over from a slot of another page of this shape, as it is there.
    pub(super) fn copy_value(&mut self, shape: KvShape, head: usize, slot: usize, from: &Self, from_slot: usize) {
        let dim = shape.head_dim;
        let (row, from_row) = (head * PAGE_TOKENS + slot, head * PAGE_TOKENS + from_slot);
        match (self, from) {
            (Self::F32 { values, .. }, Self::F32 { values: from, .. }) => {
                values[row * dim..(row + 1) * dim].copy_from_slice(&from[from_row * dim..(from_row + 1) * dim]);
            }
            (Self::Int8 { values, value_scales, .. }, Self::Int8 { values: from, value_scales: from_scales, .. }) => {
                for d in 0..dim {
                    values[code_value_index(dim, head, slot, d)] = from[code_value_index(dim, head, from_slot, d)];
                }
                value_scales[row] = from_scales[from_row];
            }
            // Both were made for `shape`.
            (Self::F32 { .. }, Self::Int8 { .. }) | (Self::Int8 { .. }, Self::F32 { .. }) => {}
        }
    }

    /// What the key of one head at `slot` is worth, `[head_dim]`.
    pub fn key(&self, shape: KvShape, head: usize, slot: usize, out: &mut [f32]) {
        match self {
            Self::F32 { keys, .. } => {
                for (d, out) in out.iter_mut().enumerate() {
                    *out = keys[dense_key_index(shape.head_dim, head, slot, d)];
                }
            }
            Self::Int8 { keys, key_scales, .. } => {
                for (d, out) in out.iter_mut().enumerate() {
                    *out = f32::from(keys[code_key_index(shape.padded_dim(), head, slot, d)]) * key_scales[head * PAGE_TOKENS + slot];
                }
            }
        }
    }

    /// What the value of one head at `slot` is worth, `[head_dim]`.
    pub fn value(&self, shape: KvShape, head: usize, slot: usize, out: &mut [f32]) {
        let (dim, row) = (shape.head_dim, head * PAGE_TOKENS + slot);
        match self {
            Self::F32 { values, .. } => out.copy_from_slice(&values[row * dim..(row + 1) * dim]),
            Self::Int8 { values, value_scales, .. } => {
                for (d, out) in out.iter_mut().enumerate() {
                    *out = f32::from(values[code_value_index(dim, head, slot, d)]) * value_scales[row];
                }
            }
        }
    }
}

/// Symmetric int8 with a scale per token and head (`gpu-backend/docs/model.md#56-int8-keys-and-values`): `absmax / 127` within 1e-5 and
/// 1e4, codes rounded half to even. -128, which the kernels have no product for, is left out: only a value beyond a million times one would
/// round to it.
pub(super) fn round_row(values: &[f32], codes: &mut [i8]) -> f32 {
    let largest = values.iter().fold(0.0f32, |largest, x| if x.abs() > largest { x.abs() } else { largest });
    let scale = (largest / 127.0).clamp(LEAST_SCALE, LARGEST_SCALE);
    for (code, x) in codes.iter_mut().zip(values) {
        #[allow(clippy::cast_possible_truncation)]
        {
            *code = (x / scale).round_ties_even().clamp(-127.0, 127.0) as i8;
        }
    }
    scale
}

pub(super) fn dense_key_index(dim: usize, head: usize, slot: usize, d: usize) -> usize {
    ((head * (PAGE_TOKENS / PANEL_TOKENS) + slot / PANEL_TOKENS) * dim + d) * PANEL_TOKENS + slot % PANEL_TOKENS
}

pub(super) fn code_key_index(padded: usize, head: usize, slot: usize, d: usize) -> usize {
    let panel = head * (PAGE_TOKENS / PANEL_TOKENS) + slot / PANEL_TOKENS;
    panel * PANEL_TOKENS * padded + d / 4 * 16 + slot % PANEL_TOKENS * 4 + d % 4
}

pub(super) fn code_value_index(dim: usize, head: usize, slot: usize, d: usize) -> usize {
    let first = d / MIX_COLUMNS * MIX_COLUMNS;
    let columns = MIX_COLUMNS.min(dim - first);
    (head * dim + first) * PAGE_TOKENS + (slot / 2 * columns + d - first) * 2 + slot % 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_rounded_half_to_even_with_scales_within_bounds() {
        let mut codes = [0; 6];
        assert_eq!(round_row(&[127.0, 0.5, 1.5, -2.5, -126.6, 0.0], &mut codes), 1.0);
        assert_eq!(codes, [127, 0, 2, -2, -127, 0]);
        assert_eq!(round_row(&[0.0, 1e-6, 0.0, 0.0, 0.0, 4e-5], &mut codes), LEAST_SCALE);
        assert_eq!(codes, [0, 0, 0, 0, 0, 4]);
        assert_eq!(round_row(&[-1e9; 6], &mut codes), LARGEST_SCALE);
        assert_eq!(codes, [-127; 6]);
    }
}
