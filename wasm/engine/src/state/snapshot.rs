//! A state as bytes and back, bit for bit.
//!
//! Little-endian: magic `SBST`, version, a fingerprint of the model's shape, KV type, position; then for each layer the linear matrices and,
//! for a softmax branch, the kept pages, the index of the first recent page and the recent pages. Keys and values are in the canonical order
//! `[token, KV head, dim]`, after RoPE, whatever order the kernels want. The lengths follow from the config and the position, so a reader
//! knows what must be there before it allocates.

use super::{KeyValues, KvShape, KvType, LayerState, PAGE_TOKENS, Page, State, code_key_index, dense_key_index, window_start};
use crate::config::Config;
use crate::error::{Error, Result};
use std::rc::Rc;

const MAGIC: &[u8; 4] = b"SBST";
const VERSION: u32 = 1;

fn invalid(message: impl Into<String>) -> Error {
    Error::InvalidState(message.into())
}

/// FNV-1a over the config as printed: a state fits exactly the config it was made with.
fn fingerprint(config: &Config) -> u64 {
    format!("{config:?}").bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

impl State {
    /// Everything needed to continue, as bytes.
    pub fn save(&self, config: &Config, kind: KvType) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&fingerprint(config).to_le_bytes());
        out.extend_from_slice(&(kind == KvType::Int8).then_some(1u32).unwrap_or(0).to_le_bytes());
        out.extend_from_slice(&(self.position as u64).to_le_bytes());
        for layer in &self.layers {
            put_floats(&mut out, &layer.linear);
            if let Some(key_values) = &layer.key_values {
                for index in held_pages(config.kept(), key_values.recent_start, self.position) {
                    if let Some(page) = key_values.page(index) {
                        put_page(&mut out, key_values.shape, page, filled(index, self.position));
                    }
                }
            }
        }
        out
    }

    /// The state these bytes hold. Anything that is not exactly a state of this config is refused, by name.
    pub fn load(config: &Config, kind: KvType, bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader { bytes, at: 0 };
        if reader.take(4)? != MAGIC {
            return Err(invalid("the bytes do not start with 'SBST'"));
        }
        let version = reader.u32()?;
        if version != VERSION {
            return Err(invalid(format!("version is {version}; {VERSION} is supported")));
        }
        if reader.u64()? != fingerprint(config) {
            return Err(invalid("it belongs to a model of another shape"));
        }
        let found = reader.u32()?;
        if found != u32::from(kind == KvType::Int8) {
            return Err(invalid(format!("its keys and values have type {found}; this engine uses {kind:?}")));
        }
        let position = usize::try_from(reader.u64()?).map_err(|_| invalid("its position is out of range"))?;
        if position > 1 << 30 || position < config.learned_sinks {
            return Err(invalid(format!("position {position} is out of range")));
        }
        let mut state = Self::new(config, kind)?;
        state.position = position;
        for (layer, target) in config.layers.iter().zip(&mut state.layers) {
            let LayerState { linear, key_values } = target;
            for value in linear.iter_mut() {
                *value = reader.float()?;
            }
            if let (Some(softmax), Some(key_values)) = (layer.mixer.softmax, key_values) {
                key_values.recent_start = recent_start(config.kept(), window_start(softmax, position), position);
                read_pages(&mut reader, key_values, config.kept(), position)?;
            }
        }
        if reader.at != bytes.len() {
            return Err(invalid(format!("{} bytes follow its end", bytes.len() - reader.at)));
        }
        Ok(state)
    }
}

/// Where the recent pages start once everything before `window_start` has been dropped.
fn recent_start(keep: usize, window_start: usize, position: usize) -> usize {
    (window_start / PAGE_TOKENS).max(keep.div_ceil(PAGE_TOKENS)).min(position.div_ceil(PAGE_TOKENS).max(keep.div_ceil(PAGE_TOKENS)))
}

fn held_pages(keep: usize, recent_start: usize, position: usize) -> impl Iterator<Item = usize> {
    let all = position.div_ceil(PAGE_TOKENS);
    let kept = keep.div_ceil(PAGE_TOKENS);
    (0..kept.min(all)).chain(recent_start.max(kept)..all)
}

fn filled(index: usize, position: usize) -> usize {
    (position - index * PAGE_TOKENS).min(PAGE_TOKENS)
}

fn read_pages(reader: &mut Reader<'_>, key_values: &mut KeyValues, keep: usize, position: usize) -> Result<()> {
    let shape = key_values.shape;
    for index in held_pages(keep, key_values.recent_start, position) {
        let tokens = filled(index, position);
        let bytes = match shape.kind {
            KvType::F32 => tokens * shape.heads * shape.head_dim * 8,
            KvType::Int8 => tokens * shape.heads * (shape.head_dim * 2 + 8),
        };
        // Before a page is allocated for them.
        if reader.bytes.len() - reader.at < bytes {
            return Err(invalid(format!("it ends within page {index}")));
        }
        let mut page = Page::new(shape)?;
        get_page(reader, shape, &mut page, tokens)?;
        if index < keep.div_ceil(PAGE_TOKENS) {
            key_values.kept.push(Rc::new(page));
        } else {
            key_values.recent.push_back(Rc::new(page));
        }
    }
    Ok(())
}

fn put_floats(out: &mut Vec<u8>, values: &[f32]) {
    out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

fn put_page(out: &mut Vec<u8>, shape: KvShape, page: &Page, tokens: usize) {
    let dim = shape.head_dim;
    for slot in 0..tokens {
        for head in 0..shape.heads {
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
    }
}

fn get_page(reader: &mut Reader<'_>, shape: KvShape, page: &mut Page, tokens: usize) -> Result<()> {
    let dim = shape.head_dim;
    for slot in 0..tokens {
        for head in 0..shape.heads {
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
        }
    }
    Ok(())
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        if self.bytes.len() - self.at < length {
            return Err(invalid(format!("it ends after {} bytes, within a field of {length}", self.bytes.len())));
        }
        self.at += length;
        Ok(&self.bytes[self.at - length..self.at])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn float(&mut self) -> Result<f32> {
        let at = self.at;
        let value = f32::from_le_bytes(self.array()?);
        if value.is_finite() { Ok(value) } else { Err(invalid(format!("the number at byte {at} is not finite"))) }
    }

    fn scale(&mut self) -> Result<f32> {
        let at = self.at;
        let value = self.float()?;
        if value >= 0.0 { Ok(value) } else { Err(invalid(format!("the scale at byte {at} is negative"))) }
    }

    fn code(&mut self) -> Result<i8> {
        let at = self.at;
        match i8::from_le_bytes(self.array()?) {
            i8::MIN => Err(invalid(format!("the code at byte {at} is -128; -127 to 127 are used"))),
            code => Ok(code),
        }
    }
}
