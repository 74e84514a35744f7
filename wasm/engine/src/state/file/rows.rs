//! A token of one head as bytes: its key and its value in f32, or the f32 scales of both and then their codes.

use super::fields::{Fields, finite, put_floats};
use crate::error::Result;
use crate::state::page::{KvShape, KvType, MAX_HEAD_DIM, PAGE_TOKENS, Page, code_key_index, code_value_index, dense_key_index, round_row};

/// As the page has it, or rounded to codes where `kind` says so; codes are never made dense.
pub fn put_row(out: &mut Vec<u8>, kind: KvType, shape: KvShape, page: &Page, head: usize, slot: usize) {
    let dim = shape.head_dim;
    let row = head * PAGE_TOKENS + slot;
    match page {
        Page::F32 { keys, values } if kind == KvType::F32 => {
            out.extend((0..dim).flat_map(|d| keys[dense_key_index(dim, head, slot, d)].to_le_bytes()));
            put_floats(out, &values[row * dim..(row + 1) * dim]);
        }
        Page::F32 { values, .. } => {
            let (mut key, mut key_codes, mut value_codes) = ([0.0; MAX_HEAD_DIM], [0; MAX_HEAD_DIM], [0; MAX_HEAD_DIM]);
            page.key(shape, head, slot, &mut key[..dim]);
            let scales =
                [round_row(&key[..dim], &mut key_codes[..dim]), round_row(&values[row * dim..(row + 1) * dim], &mut value_codes[..dim])];
            put_floats(out, &scales);
            out.extend(key_codes[..dim].iter().chain(&value_codes[..dim]).map(|code| code.cast_unsigned()));
        }
        Page::Int8 { keys, values, key_scales, value_scales } => {
            put_floats(out, &[key_scales[row], value_scales[row]]);
            out.extend((0..dim).map(|d| keys[code_key_index(shape.padded_dim(), head, slot, d)].cast_unsigned()));
            out.extend((0..dim).map(|d| values[code_value_index(dim, head, slot, d)].cast_unsigned()));
        }
    }
}

/// Rows of type `kind` into a page of that type, or codes as what they are worth into a dense one.
pub fn get_row(fields: &mut Fields<'_>, kind: KvType, shape: KvShape, page: &mut Page, head: usize, slot: usize) -> Result<()> {
    let dim = shape.head_dim;
    let row = head * PAGE_TOKENS + slot;
    match page {
        Page::F32 { keys, values } => {
            let scales = if kind == KvType::Int8 { Some((fields.scale()?, fields.scale()?)) } else { None };
            let mut number = |scale: Option<f32>| match scale {
                Some(scale) => finite(f32::from(fields.code()?) * scale, fields.place() - 1),
                None => fields.float(),
            };
            for d in 0..dim {
                keys[dense_key_index(dim, head, slot, d)] = number(scales.map(|(key, _)| key))?;
            }
            for value in &mut values[row * dim..(row + 1) * dim] {
                *value = number(scales.map(|(_, value)| value))?;
            }
        }
        Page::Int8 { keys, values, key_scales, value_scales } => {
            (key_scales[row], value_scales[row]) = (fields.scale()?, fields.scale()?);
            for d in 0..dim {
                keys[code_key_index(shape.padded_dim(), head, slot, d)] = fields.code()?;
            }
            for d in 0..dim {
                values[code_value_index(dim, head, slot, d)] = fields.code()?;
            }
        }
    }
    Ok(())
}
