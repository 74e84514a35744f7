//! The units of a state file's sections, from a state and into one.

use super::fields::{Fields, put_floats, put_recurrent};
use super::invalid;
use super::layout::{Content, Encoding, Layout, Section};
use super::rows::{get_row, put_row};
use crate::error::Result;
use crate::state::{PAGE_TOKENS, State};
use std::collections::BTreeSet;

/// Units of a model's own state are counted in usize: they are in memory.
#[allow(clippy::cast_possible_truncation)]
pub fn put_unit(out: &mut Vec<u8>, state: &State, layout: &Layout, encoding: Encoding, section: &Section, unit: u64) {
    let index = unit as usize;
    match section.content {
        Content::Linear(layer) => {
            let linear = &state.layers[layer].linear;
            let dim = section.width(encoding);
            put_recurrent(out, encoding.recurrent, &linear[index * dim..(index + 1) * dim]);
        }
        Content::Sums(layer) => {
            let Some(evicted) = &state.layers[layer].evicted else { return };
            let dim = section.width(encoding) - 1;
            put_recurrent(out, encoding.recurrent, &evicted.sums[index * dim..(index + 1) * dim]);
            put_recurrent(out, encoding.recurrent, &evicted.normalisers[index..=index]);
        }
        Content::Salient(layer, filled) => {
            let Some(evicted) = &state.layers[layer].evicted else { return };
            let (head, slot) = (index / filled, index % filled);
            let slots = &evicted.salient.pages()[slot / PAGE_TOKENS];
            let row = head * PAGE_TOKENS + slot % PAGE_TOKENS;
            out.extend_from_slice(&slots.positions[row].to_le_bytes());
            put_floats(out, &[slots.salience[row]]);
            put_row(out, encoding.kv, evicted.salient.shape(), &slots.key_values, head, slot % PAGE_TOKENS);
        }
        Content::Rows(group) => {
            let (position, layer, head) = layout.row(group, unit);
            let Some(key_values) = &state.layers[layer].key_values else { return };
            if let Some(page) = key_values.page(position / PAGE_TOKENS) {
                put_row(out, encoding.kv, key_values.shape(), page, head, position % PAGE_TOKENS);
            }
        }
    }
}

/// Takes the units of a file, in order, into a state that has room for its linear states, sums and salient tokens.
#[derive(Debug)]
pub struct UnitReader {
    encoding: Encoding,
    /// Leading positions that every token sees.
    kept: usize,
    /// Before them, all positions have left the window.
    salient_before: usize,
    /// Positions of the salient tokens of the KV head that is being read.
    salient: BTreeSet<u32>,
}

impl UnitReader {
    /// Of a state before whose next query `left` tokens have left the windows of `evicted` layers.
    pub fn new(encoding: Encoding, kept: usize, left: usize) -> Self {
        Self { encoding, kept, salient_before: kept + left, salient: BTreeSet::new() }
    }

    #[allow(clippy::cast_possible_truncation)]
    pub fn get_unit(&mut self, fields: &mut Fields<'_>, state: &mut State, layout: &Layout, section: &Section, unit: u64) -> Result<()> {
        let Encoding { kv, recurrent } = self.encoding;
        let index = unit as usize;
        match section.content {
            Content::Linear(layer) => {
                let dim = section.width(self.encoding);
                fields.recurrent(recurrent, &mut state.layers[layer].linear[index * dim..(index + 1) * dim])
            }
            Content::Sums(layer) => {
                let Some(evicted) = &mut state.layers[layer].evicted else { return Ok(()) };
                let dim = section.width(self.encoding) - 1;
                fields.recurrent(recurrent, &mut evicted.sums[index * dim..(index + 1) * dim])?;
                fields.recurrent(recurrent, &mut evicted.normalisers[index..=index])
            }
            Content::Salient(layer, filled) => {
                let Some(evicted) = &mut state.layers[layer].evicted else { return Ok(()) };
                let (head, slot) = (index / filled, index % filled);
                let at = fields.place();
                let position = fields.u32()?;
                if slot == 0 {
                    self.salient.clear();
                }
                if !(self.kept..self.salient_before).contains(&(position as usize)) || !self.salient.insert(position) {
                    return Err(invalid(format!(
                        "the position of a salient token at byte {at} must be from {} to {} and no other's; it is {position}",
                        self.kept,
                        self.salient_before - 1
                    )));
                }
                let shape = evicted.salient.shape();
                let slots = &mut evicted.salient.pages_mut()[slot / PAGE_TOKENS];
                let row = head * PAGE_TOKENS + slot % PAGE_TOKENS;
                slots.positions[row] = position;
                slots.salience[row] = fields.float()?;
                get_row(fields, kv, shape, &mut slots.key_values, head, slot % PAGE_TOKENS)
            }
            Content::Rows(group) => {
                let (position, layer, head) = layout.row(group, unit);
                let Some(key_values) = &mut state.layers[layer].key_values else { return Ok(()) };
                let shape = key_values.shape();
                let page = key_values.opened(position / PAGE_TOKENS, self.kept)?;
                get_row(fields, kv, shape, page, head, position % PAGE_TOKENS)
            }
        }
    }
}
