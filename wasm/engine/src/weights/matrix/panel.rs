//! Four rows of a matrix, interleaved block by block; they take exactly the bytes the rows took in the file:
//!
//! | type | one block of a panel |
//! |---|---|
//! | F32, F16, BF16 | one column: 4 elements |
//! | Q8_0 | `d[4]` f16, then for each 4 columns: 4 bytes of row 0, of row 1, of row 2, of row 3 |
//! | Q4_0 | `d[4]` f16, then 4 vectors: 4 file bytes (two nibbles each) of row 0 to row 3 |
//! | Q4_1 | `d[4]` f16, `m[4]` f16, then as Q4_0 |
//! | I8 | of a group of 128: `scale[4]` f32, then codes as in Q8_0; a last group is as long as whole blocks of 32 need, filled with zeros |

use super::super::tensor_type::{BLOCK, GROUP, TensorType};
use super::file_row::halves_of_block;
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

/// Packs a row as it stands in the file. Of I8 the scales are left as they are.
pub(super) fn put_row(kind: TensorType, panel: &mut [u8], lane: usize, row: &[u8]) {
    if kind == TensorType::I8 {
        for (index, code) in row.iter().enumerate() {
            panel[code_at(index, lane)] = *code;
        }
        return;
    }
    let block = kind.block_bytes();
    match block {
        2 => return put_elements::<2>(panel, row, lane),
        4 => return put_elements::<4>(panel, row, lane),
        _ => {}
    }
    let halves = halves_of_block(kind);
    let head = halves * 2;
    for (source, target) in row.chunks_exact(block).zip(panel.chunks_exact_mut(PANEL_ROWS * block)) {
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
}

/// Puts elements of so many bytes in their places.
fn put_elements<const BYTES: usize>(panel: &mut [u8], row: &[u8], lane: usize) {
    let places = panel.as_chunks_mut::<BYTES>().0.iter_mut().skip(lane).step_by(PANEL_ROWS);
    places.zip(row.as_chunks::<BYTES>().0).for_each(|(place, element)| *place = *element);
}

/// Decodes a row, `[columns]`; of I8 what its codes hold.
pub(super) fn row(kind: TensorType, panel: &[u8], lane: usize, out: &mut [f32]) {
    if kind == TensorType::I8 {
        for (column, out) in out.iter_mut().enumerate() {
            *out = weight_of_group(panel, column, lane);
        }
        return;
    }
    let block = PANEL_ROWS * kind.block_bytes();
    for (bytes, out) in panel.chunks_exact(block).zip(out.chunks_exact_mut(kind.block_elements())) {
        for (index, out) in out.iter_mut().enumerate() {
            *out = weight_of_block(kind, bytes, index, lane);
        }
    }
}

/// The weights of a column; of I8 what its codes hold.
pub(crate) fn column(kind: TensorType, panel: &[u8], column: usize) -> [f32; PANEL_ROWS] {
    let elements = kind.block_elements();
    let block_bytes = PANEL_ROWS * kind.block_bytes();
    let block = &panel[column / elements * block_bytes..];
    core::array::from_fn(|lane| match kind {
        TensorType::I8 => weight_of_group(panel, column, lane),
        TensorType::I32 => 0.0,
        _ => weight_of_block(kind, &block[..block_bytes], column % elements, lane),
    })
}

/// Where the scale of a column lies in a panel of I8.
pub(super) fn scale_at(column: usize, lane: usize) -> usize {
    column / GROUP * GROUP_PANEL_BYTES + lane * 4
}

/// What a code of a column in a panel of I8 is worth.
pub(super) fn scale_of_group(panel: &[u8], column: usize, lane: usize) -> f32 {
    let at = scale_at(column, lane);
    f32::from_le_bytes([panel[at], panel[at + 1], panel[at + 2], panel[at + 3]])
}

/// Where the code of a column lies in a panel of I8.
fn code_at(column: usize, lane: usize) -> usize {
    column / GROUP * GROUP_PANEL_BYTES + GROUP_HEAD_BYTES + column % GROUP / 4 * 16 + lane * 4 + column % 4
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
