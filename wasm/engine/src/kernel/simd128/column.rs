//! The weights of a column in the four rows of a panel.

use super::super::{Kernel, Lanes, Scalar};
use super::{halves, lanes};
use crate::weights::TensorType;
use crate::weights::matrix::{GROUP_HEAD_BYTES, GROUP_PANEL_BYTES, PANEL_ROWS};
use crate::weights::tensor_type::{BLOCK, GROUP};
use core::arch::wasm32::*;

/// See [`Kernel::column`].
#[inline(always)]
pub(super) fn column(kind: TensorType, panel: &[u8], column: usize) -> Lanes {
    let index = column % BLOCK;
    match kind {
        TensorType::Q4_0 | TensorType::Q4_1 => {
            let head = if kind == TensorType::Q4_1 { 4 * PANEL_ROWS } else { 2 * PANEL_ROWS };
            let block = part(panel, column / BLOCK, head + BLOCK / 2 * PANEL_ROWS);
            // SAFETY: a block has its head, then four vectors of nibbles.
            unsafe {
                let d = halves(block);
                let m = if kind == TensorType::Q4_1 { halves(block.add(8)) } else { f32x4_mul(d, f32x4_splat(-8.0)) };
                let pairs = v128_load(block.add(head + index % 16 / 4 * 16).cast());
                let shift = 8 * (index % 4) + if index < 16 { 0 } else { 4 };
                let codes = v128_and(u32x4_shr(pairs, shift as u32), u32x4_splat(15));
                lanes(f32x4_add(f32x4_mul(d, f32x4_convert_i32x4(codes)), m))
            }
        }
        TensorType::Q8_0 => {
            let block = part(panel, column / BLOCK, 2 * PANEL_ROWS + BLOCK * PANEL_ROWS);
            // SAFETY: a block has four scales, then eight vectors of codes.
            unsafe { lanes(f32x4_mul(halves(block), code(block.add(2 * PANEL_ROWS + index / 4 * 16), index % 4))) }
        }
        TensorType::I8 => {
            let (group, index) = (column / GROUP * GROUP_PANEL_BYTES, column % GROUP);
            let at = group + GROUP_HEAD_BYTES + index / 4 * 16;
            assert!(at + 16 <= panel.len(), "a panel holds its matrix's columns");
            // SAFETY: the group's scales lie before its codes, and these have been compared with the panel's length.
            unsafe { lanes(f32x4_mul(v128_load(panel.as_ptr().add(group).cast()), code(panel.as_ptr().add(at), index % 4))) }
        }
        TensorType::F32 | TensorType::F16 | TensorType::Bf16 | TensorType::I32 => Scalar::column(kind, panel, column),
    }
}

/// The part of a panel with this index, of so many bytes each.
#[inline(always)]
fn part(panel: &[u8], index: usize, bytes: usize) -> *const u8 {
    panel[index * bytes..(index + 1) * bytes].as_ptr()
}

/// One of the four bytes of each row, with its sign.
#[inline(always)]
unsafe fn code(at: *const u8, byte: usize) -> v128 {
    // SAFETY: the caller passes sixteen readable bytes.
    let fours = unsafe { v128_load(at.cast()) };
    f32x4_convert_i32x4(i32x4_shr(i32x4_shl(fours, 24 - 8 * byte as u32), 24))
}
