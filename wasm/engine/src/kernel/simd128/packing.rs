//! Four rows of a file become a panel: sixteen bytes of each at a time.

use super::ZERO;
use crate::weights::TensorType;
use crate::weights::matrix::{GROUP_HEAD_BYTES, PANEL_ROWS, packed_row_bytes};
use crate::weights::tensor_type::GROUP;
use core::arch::wasm32::*;
use core::mem::MaybeUninit;

/// Bytes of a row that are packed together.
const VECTOR: usize = 16;

type Rows = [*const u8; PANEL_ROWS];

/// See [`Kernel::pack`](super::Kernel::pack).
pub(super) fn pack<'a>(
    kind: TensorType,
    rows: &[u8],
    step: usize,
    row_bytes: usize,
    panels: &'a mut [MaybeUninit<u8>],
) -> Option<&'a mut [u8]> {
    let columns = row_bytes / kind.block_bytes() * kind.block_elements();
    let (apart, panel_bytes) = (step * row_bytes, PANEL_ROWS * packed_row_bytes(kind, columns));
    let count = panels.len() / panel_bytes;
    assert!(step > 0 && kind.row_bytes(columns) == row_bytes, "rows are of whole blocks");
    assert!(panels.len() == count * panel_bytes && rows.len().div_ceil(apart) == count * PANEL_ROWS, "panels have four rows each");
    assert!(rows.len() >= (count * PANEL_ROWS).saturating_sub(1) * apart + row_bytes, "rows are whole");
    let (from, to) = (rows.as_ptr(), panels.as_mut_ptr().cast::<u8>());
    for panel in 0..count {
        // SAFETY: the last row of the last panel ends within `rows`, and there is room for as many panels. Each function reads `row_bytes` of
        // every row, and writes what they take in a panel.
        let finite = unsafe {
            let rows = core::array::from_fn(|lane| from.add((panel * PANEL_ROWS + lane) * apart));
            let to = to.add(panel * panel_bytes);
            match kind {
                TensorType::Q4_0 => of_blocks::<18, 1>(rows, to, row_bytes),
                TensorType::Q4_1 => of_blocks::<20, 2>(rows, to, row_bytes),
                TensorType::Q8_0 => of_blocks::<34, 1>(rows, to, row_bytes),
                TensorType::F16 => of_halves(rows, to, row_bytes, 0x7c00),
                TensorType::Bf16 => of_halves(rows, to, row_bytes, 0x7f80),
                TensorType::F32 => of_floats(rows, to, row_bytes),
                TensorType::I8 => of_groups(rows, to, row_bytes),
                TensorType::I32 => false,
            }
        };
        if !finite {
            return None;
        }
    }
    // SAFETY: every byte of them has just been written.
    Some(unsafe { panels.assume_init_mut() })
}

/// Blocks of so many bytes, `HALVES` f16 numbers in front.
#[inline(never)]
unsafe fn of_blocks<const BYTES: usize, const HALVES: usize>(rows: Rows, panel: *mut u8, row_bytes: usize) -> bool {
    let mut largest = ZERO;
    for at in (0..row_bytes).step_by(BYTES) {
        // SAFETY: a block of each row is read, and its place in the panel is written.
        unsafe {
            let (sources, target) = (rows.map(|row| row.add(at)), panel.add(PANEL_ROWS * at));
            let [a, b, c, d] = sources;
            if HALVES == 2 {
                let pairs = v128_load32_lane::<1>(v128_load32_zero(a.cast()), b.cast());
                let pairs = v128_load32_lane::<3>(v128_load32_lane::<2>(pairs, c.cast()), d.cast());
                let halves = i16x8_shuffle::<0, 2, 4, 6, 1, 3, 5, 7>(pairs, pairs);
                largest = u16x8_max(largest, v128_and(halves, u16x8_splat(0x7fff)));
                v128_store(target.cast(), halves);
            } else {
                let halves = v128_load16_lane::<1>(v128_load16_lane::<0>(ZERO, a.cast()), b.cast());
                let halves = v128_load16_lane::<3>(v128_load16_lane::<2>(halves, c.cast()), d.cast());
                largest = u16x8_max(largest, v128_and(halves, u16x8_splat(0x7fff)));
                v128_store64_lane::<0>(halves, target.cast());
            }
            for vector in 0..(BYTES - 2 * HALVES) / VECTOR {
                let codes = sources.map(|source| v128_load(source.add(2 * HALVES + vector * VECTOR).cast()));
                store(target.add(PANEL_ROWS * (2 * HALVES + vector * VECTOR)), by_fours(codes));
            }
        }
    }
    all_below(largest, 0x7c00)
}

/// Elements of two bytes, of which those that are not finite have all of the given bits.
#[inline(never)]
unsafe fn of_halves(rows: Rows, panel: *mut u8, row_bytes: usize, exponent: u16) -> bool {
    let mut largest = ZERO;
    let whole = row_bytes / VECTOR * VECTOR;
    // SAFETY: the places are below `row_bytes`.
    unsafe {
        for at in (0..whole).step_by(VECTOR) {
            let vectors = rows.map(|row| v128_load(row.add(at).cast()));
            for vector in vectors {
                largest = u16x8_max(largest, v128_and(vector, u16x8_splat(0x7fff)));
            }
            store(panel.add(PANEL_ROWS * at), by_twos(vectors));
        }
        let mut finite = all_below(largest, exponent);
        for at in (whole..row_bytes).step_by(2) {
            for (lane, row) in rows.into_iter().enumerate() {
                let bits = row.add(at).cast::<u16>().read_unaligned();
                finite &= bits & 0x7fff < exponent;
                panel.add(PANEL_ROWS * at + 2 * lane).cast::<u16>().write_unaligned(bits);
            }
        }
        finite
    }
}

/// Elements of four bytes.
#[inline(never)]
unsafe fn of_floats(rows: Rows, panel: *mut u8, row_bytes: usize) -> bool {
    const INFINITY: u32 = f32::INFINITY.to_bits();
    let mut finite = u32x4_splat(u32::MAX);
    let whole = row_bytes / VECTOR * VECTOR;
    // SAFETY: the places are below `row_bytes`.
    unsafe {
        for at in (0..whole).step_by(VECTOR) {
            let vectors = rows.map(|row| v128_load(row.add(at).cast()));
            for vector in vectors {
                finite = v128_and(finite, i32x4_lt(v128_and(vector, u32x4_splat(0x7fff_ffff)), u32x4_splat(INFINITY)));
            }
            store(panel.add(PANEL_ROWS * at), by_fours(vectors));
        }
        let mut finite = i32x4_all_true(finite);
        for at in (whole..row_bytes).step_by(4) {
            for (lane, row) in rows.into_iter().enumerate() {
                let bits = row.add(at).cast::<u32>().read_unaligned();
                finite &= bits & 0x7fff_ffff < INFINITY;
                panel.add(PANEL_ROWS * at + 4 * lane).cast::<u32>().write_unaligned(bits);
            }
        }
        finite
    }
}

/// Bytes in groups whose scales are still to come; behind the last column zeros, up to a whole block.
#[inline(never)]
unsafe fn of_groups(rows: Rows, panel: *mut u8, row_bytes: usize) -> bool {
    // SAFETY: places in rows are below `row_bytes`; those in the panel are below what whole blocks take, with the groups' scales.
    unsafe {
        let mut target = panel;
        for at in (0..row_bytes).step_by(VECTOR) {
            if at % GROUP == 0 {
                v128_store(target.cast(), ZERO);
                target = target.add(GROUP_HEAD_BYTES);
            }
            store(target, by_fours(rows.map(|row| front(row.add(at), row_bytes - at))));
            target = target.add(PANEL_ROWS * VECTOR);
        }
        if row_bytes.div_ceil(VECTOR) % 2 == 1 {
            store(target, [ZERO; 4]);
        }
    }
    true
}

/// The first bytes of what is left of a row, with zeros behind them where that is less than a vector.
#[inline(always)]
unsafe fn front(row: *const u8, left: usize) -> v128 {
    if left >= VECTOR {
        // SAFETY: there are as many bytes.
        return unsafe { v128_load(row.cast()) };
    }
    let mut bytes = [0u8; VECTOR];
    // SAFETY: `left` bytes are read, which is less than there are places; then a whole vector.
    unsafe {
        core::ptr::copy_nonoverlapping(row, bytes.as_mut_ptr(), left);
        v128_load(bytes.as_ptr().cast())
    }
}

/// Four rows of four units of four bytes: the first of each, the second of each, and on.
#[inline(always)]
fn by_fours([a, b, c, d]: [v128; PANEL_ROWS]) -> [v128; 4] {
    let (first, second) = (i32x4_shuffle::<0, 4, 1, 5>(a, b), i32x4_shuffle::<0, 4, 1, 5>(c, d));
    let (third, fourth) = (i32x4_shuffle::<2, 6, 3, 7>(a, b), i32x4_shuffle::<2, 6, 3, 7>(c, d));
    pairwise(first, second, third, fourth)
}

/// Four rows of eight units of two bytes, alike.
#[inline(always)]
fn by_twos([a, b, c, d]: [v128; PANEL_ROWS]) -> [v128; 4] {
    let (first, second) = (i16x8_shuffle::<0, 8, 1, 9, 2, 10, 3, 11>(a, b), i16x8_shuffle::<0, 8, 1, 9, 2, 10, 3, 11>(c, d));
    let (third, fourth) = (i16x8_shuffle::<4, 12, 5, 13, 6, 14, 7, 15>(a, b), i16x8_shuffle::<4, 12, 5, 13, 6, 14, 7, 15>(c, d));
    let by_four = |low, high| [i32x4_shuffle::<0, 4, 1, 5>(low, high), i32x4_shuffle::<2, 6, 3, 7>(low, high)];
    let ([a, b], [c, d]) = (by_four(first, second), by_four(third, fourth));
    [a, b, c, d]
}

/// Halves of two vectors one behind another, twice.
#[inline(always)]
fn pairwise(first: v128, second: v128, third: v128, fourth: v128) -> [v128; 4] {
    [
        i64x2_shuffle::<0, 2>(first, second),
        i64x2_shuffle::<1, 3>(first, second),
        i64x2_shuffle::<0, 2>(third, fourth),
        i64x2_shuffle::<1, 3>(third, fourth),
    ]
}

#[inline(always)]
unsafe fn store(at: *mut u8, vectors: [v128; 4]) {
    for (index, vector) in vectors.into_iter().enumerate() {
        // SAFETY: the caller passes room for four vectors.
        unsafe { v128_store(at.add(index * VECTOR).cast(), vector) };
    }
}

#[inline(always)]
fn all_below(magnitudes: v128, bound: u16) -> bool {
    u16x8_all_true(u16x8_lt(magnitudes, u16x8_splat(bound)))
}
