//! A token of one head as bytes: its key and its value in f32, or the f32 scales of both and then their codes.

use super::reader::Reader;
use crate::error::Result;
use crate::state::page::{KvShape, PAGE_TOKENS, Page, code_key_index, dense_key_index};

pub fn put_floats(out: &mut Vec<u8>, values: &[f32]) {
    out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

pub fn put_row(out: &mut Vec<u8>, shape: KvShape, page: &Page, head: usize, slot: usize) {
    let dim = shape.head_dim;
    let row = head * PAGE_TOKENS + slot;
    match page {
        Page::F32 { keys, values } => {
            out.extend((0..dim).flat_map(|d| keys[dense_key_index(dim, head, slot, d)].to_le_bytes()));
            put_floats(out, &values[row * dim..(row + 1) * dim]);
        }
        Page::Int8 { keys, values, key_scales, value_scales } => {
            put_floats(out, &[key_scales[row], value_scales[row]]);
            out.extend((0..dim).map(|d| keys[code_key_index(shape.padded_dim(), head, slot, d)].cast_unsigned()));
            out.extend(values[row * dim..(row + 1) * dim].iter().map(|code| code.cast_unsigned()));
        }
    }
}

pub fn get_row(reader: &mut Reader<'_>, shape: KvShape, page: &mut Page, head: usize, slot: usize) -> Result<()> {
    let dim = shape.head_dim;
    let row = head * PAGE_TOKENS + slot;
    match page {
        Page::F32 { keys, values } => {
            for d in 0..dim {
                keys[dense_key_index(dim, head, slot, d)] = reader.float()?;
            }
            for value in &mut values[row * dim..(row + 1) * dim] {
                *value = reader.float()?;
            }
        }
        Page::Int8 { keys, values, key_scales, value_scales } => {
            (key_scales[row], value_scales[row]) = (reader.scale()?, reader.scale()?);
            for d in 0..dim {
                keys[code_key_index(shape.padded_dim(), head, slot, d)] = reader.code()?;
            }
            for value in &mut values[row * dim..(row + 1) * dim] {
                *value = reader.code()?;
            }
        }
    }
    Ok(())
}
