//! What is remembered of evicted tokens, as bytes.

use super::invalid;
use super::reader::Reader;
use super::rows::{get_row, put_floats, put_row};
use crate::error::Result;
use crate::state::{EvictedState, PAGE_TOKENS, Salient};
use std::collections::BTreeSet;

/// Position and salience of a salient token.
const TOKEN_HEAD_BYTES: usize = 4 + 4;

pub fn saved_bytes(evicted: &EvictedState) -> usize {
    let (salient, shape) = (&evicted.salient, evicted.salient.shape());
    EvictedState::sums_bytes(shape) + salient.filled() * (shape.saved_token_bytes() + shape.heads * TOKEN_HEAD_BYTES)
}

/// KV head by KV head; zeros before any token has left.
pub fn put_sums(evicted: &EvictedState, out: &mut Vec<u8>, sink: &mut impl FnMut(&[u8])) {
    let shape = evicted.salient.shape();
    let dim = shape.head_dim;
    if evicted.sums.is_empty() {
        out.clear();
        out.resize(EvictedState::sums_bytes(shape) / shape.heads, 0);
        (0..shape.heads).for_each(|_| sink(out));
    }
    let features = evicted.sums.chunks_exact(dim).zip(&evicted.normalisers);
    out.clear();
    for (index, (sums, normaliser)) in features.enumerate() {
        put_floats(out, sums);
        put_floats(out, &[*normaliser]);
        if (index + 1).is_multiple_of(2 * dim) {
            sink(out);
            out.clear();
        }
    }
}

/// Of a state before which `left` tokens have left.
pub fn get_sums(reader: &mut Reader<'_>, evicted: &mut EvictedState, left: usize) -> Result<()> {
    let shape = evicted.salient.shape();
    let (dim, bytes) = (shape.head_dim, EvictedState::sums_bytes(shape));
    // Before any memory is taken for them.
    if reader.bytes.len() - reader.at < bytes {
        return Err(invalid(format!("it ends after {} bytes, within a layer's sums of evicted tokens", reader.bytes.len())));
    }
    if left == 0 {
        let at = reader.at;
        return match reader.take(bytes)?.iter().all(|byte| *byte == 0) {
            true => Ok(()),
            false => Err(invalid(format!("the sums at byte {at} must be 0 before any token has left the window; some are not"))),
        };
    }
    evicted.make_sums()?;
    for (sums, normaliser) in evicted.sums.chunks_exact_mut(dim).zip(&mut evicted.normalisers) {
        for sum in sums {
            *sum = reader.float()?;
        }
        *normaliser = reader.float()?;
    }
    Ok(())
}

/// KV head by KV head, slot by slot.
pub fn put_salient(salient: &Salient, out: &mut Vec<u8>, sink: &mut impl FnMut(&[u8])) {
    let shape = salient.shape();
    for head in 0..shape.heads {
        for (page, slots) in salient.pages().iter().enumerate() {
            out.clear();
            for slot in 0..salient.filled().saturating_sub(page * PAGE_TOKENS).min(PAGE_TOKENS) {
                let row = head * PAGE_TOKENS + slot;
                out.extend_from_slice(&slots.positions[row].to_le_bytes());
                put_floats(out, &[slots.salience[row]]);
                put_row(out, shape, &slots.key_values, head, slot);
            }
            sink(out);
        }
    }
}

/// Of a state before which `evicted` tokens have left, from position `first` on.
pub fn get_salient(reader: &mut Reader<'_>, salient: &mut Salient, first: usize, evicted: usize) -> Result<()> {
    let shape = salient.shape();
    let filled = salient.filled_after(evicted);
    let bytes = filled.saturating_mul(shape.saved_token_bytes() + shape.heads * TOKEN_HEAD_BYTES);
    // Before any slot is allocated for them.
    if reader.bytes.len() - reader.at < bytes {
        return Err(invalid(format!("it ends within the {filled} salient tokens of a layer")));
    }
    salient.make_room(evicted)?;
    for head in 0..shape.heads {
        let mut seen = BTreeSet::new();
        for slot in 0..filled {
            let (slots, at) = (&mut salient.pages_mut()[slot / PAGE_TOKENS], slot % PAGE_TOKENS);
            let position = reader.u32()?;
            if !(first..first + evicted).contains(&(position as usize)) || !seen.insert(position) {
                let (last, of) = ((first + evicted).saturating_sub(1), reader.at - 4);
                return Err(invalid(format!(
                    "the position of a salient token at byte {of} must be from {first} to {last} and no other's; it is {position}"
                )));
            }
            slots.positions[head * PAGE_TOKENS + at] = position;
            slots.salience[head * PAGE_TOKENS + at] = reader.float()?;
            get_row(reader, shape, &mut slots.key_values, head, at)?;
        }
    }
    salient.settle(evicted);
    Ok(())
}
