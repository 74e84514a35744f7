//! A state as bytes and back, bit for bit.
//!
//! The format is also that of Python (`gpu-backend/spikingbrain/model/state_file.py`): the same state gives the same bytes. Little-endian:
//!
//! | bytes | hold |
//! |--:|---|
//! | 4, 4 | magic `SBST`, version 2 |
//! | 32 | SHA-256 of what decides a state's meaning, see `fingerprint.rs` |
//! | 4 | type of keys and values: 0 for f32, 1 for int8 |
//! | 8 | position: tokens read, learned sinks included |
//!
//! then for each layer its linear states, `[KV head, key dim, value dim]` f32; the sums of its evicted tokens, `[KV head, feature, value dim and
//! the normaliser]` f32; the tokens that its softmax branch still sees, in order: the kept ones, then those within the window of the next query;
//! and the salient ones. A token is, for each KV head, its key and its value, after RoPE, in f32; or the f32 scales of both and then their
//! codes. Salient tokens differ from head to head: they come KV head by KV head, slot by slot, each as its position (u32), its salience (f32),
//! key, not rotated, and value. The lengths follow from the config and the position, so a reader knows what must be there before
//! it allocates.

use super::fingerprint::fingerprint;
mod evicted;
mod reader;
mod rows;

use super::page::{KvShape, KvType, PAGE_TOKENS, Page};
use super::{KeyValues, LayerState, State, evicted_before, window_start};
use crate::config::{Config, Softmax};
use crate::error::{Error, Result};
use crate::memory::{bytes_of, with_capacity};
use reader::Reader;
use rows::{get_row, put_floats, put_row};

const MAGIC: &[u8; 4] = b"SBST";
const VERSION: u32 = 2;
/// Magic, version, fingerprint, KV type, position.
const HEADER_BYTES: usize = 4 + 4 + 32 + 4 + 8;
/// The longest text whose positions the engine counts.
const MAX_POSITION: usize = 1 << 30;

fn invalid(message: impl Into<String>) -> Error {
    Error::InvalidState(message.into())
}

/// The tokens that a softmax branch still sees once `position` tokens are read.
#[derive(Clone, Copy)]
struct Visible {
    keep: usize,
    start: usize,
    position: usize,
}

impl Visible {
    fn new(config: &Config, softmax: Softmax, position: usize) -> Self {
        Self { keep: config.kept(), start: window_start(softmax, position).min(position), position }
    }

    /// Slots of a page, in order.
    fn slots(self, page: usize) -> impl Iterator<Item = usize> {
        let first = page * PAGE_TOKENS;
        let filled = self.position.saturating_sub(first).min(PAGE_TOKENS);
        (0..filled).filter(move |slot| first + slot < self.keep || first + slot >= self.start)
    }

    fn count(self) -> usize {
        self.position - self.start + self.keep.min(self.start)
    }
}

impl State {
    /// Everything needed to continue, as bytes.
    pub fn save(&self, config: &Config, kind: KvType) -> Result<Vec<u8>> {
        let mut out = with_capacity(self.saved_bytes(config), "a saved state")?;
        self.save_to(config, kind, |part| out.extend_from_slice(part));
        Ok(out)
    }

    /// As [`Self::save`], in parts of a matrix or a page, so that the whole need not be in memory a second time.
    pub fn save_to(&self, config: &Config, kind: KvType, mut sink: impl FnMut(&[u8])) {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&fingerprint(config));
        out.extend_from_slice(&u32::from(kind == KvType::Int8).to_le_bytes());
        out.extend_from_slice(&(self.position as u64).to_le_bytes());
        sink(&out);
        for (layer, layer_config) in self.layers.iter().zip(&config.layers) {
            for matrix in layer.linear.chunks(config.head_dim * config.head_dim) {
                out.clear();
                put_floats(&mut out, matrix);
                sink(&out);
            }
            if let Some(evicted) = &layer.evicted {
                evicted::put_sums(evicted, &mut out, &mut sink);
            }
            if let (Some(key_values), Some(softmax)) = (&layer.key_values, layer_config.mixer.softmax) {
                let visible = Visible::new(config, softmax, self.position);
                for index in held_pages(config.kept(), key_values.recent_start(), self.position) {
                    if let Some(page) = key_values.page(index) {
                        out.clear();
                        put_page(&mut out, key_values.shape(), page, visible.slots(index));
                        sink(&out);
                    }
                }
            }
            if let Some(evicted) = &layer.evicted {
                evicted::put_salient(&evicted.salient, &mut out, &mut sink);
            }
        }
    }

    /// Length of what [`Self::save`] gives, bytes.
    pub fn saved_bytes(&self, config: &Config) -> usize {
        let layer_bytes = |(layer, layer_config): (&LayerState, &crate::config::Layer)| {
            let tokens = layer.key_values.as_ref().zip(layer_config.mixer.softmax).map_or(0, |(key_values, softmax)| {
                Visible::new(config, softmax, self.position).count() * key_values.shape().saved_token_bytes()
            });
            bytes_of::<f32>(layer.linear.len()) + tokens + layer.evicted.as_ref().map_or(0, evicted::saved_bytes)
        };
        HEADER_BYTES + self.layers.iter().zip(&config.layers).map(layer_bytes).sum::<usize>()
    }

    /// The position at which these bytes were saved, from their header alone: what a caller needs to know what loading them will take.
    pub fn saved_position(config: &Config, kind: KvType, bytes: &[u8]) -> Result<usize> {
        read_header(&mut Reader { bytes, at: 0 }, config, kind)
    }

    /// The state these bytes hold. Anything that is not exactly a state of this config is refused, by name.
    pub fn load(config: &Config, kind: KvType, bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader { bytes, at: 0 };
        let position = read_header(&mut reader, config, kind)?;
        // What a state takes before its first page: not allocated for bytes that cannot fill it.
        if bytes.len() - reader.at < Self::bytes_at(config, kind, 0, 0) {
            return Err(invalid(format!("it ends after {} bytes, within its linear states or sums", bytes.len())));
        }
        let mut state = Self::new(config, kind)?;
        state.position = position;
        for (layer, LayerState { linear, key_values, evicted }) in config.layers.iter().zip(&mut state.layers) {
            for value in linear.iter_mut() {
                *value = reader.float()?;
            }
            let left = match layer.mixer.softmax {
                Some(Softmax::Window(width)) => evicted_before(config, width, position),
                None | Some(Softmax::Full) => 0,
            };
            if let Some(evicted) = evicted {
                evicted::get_sums(&mut reader, evicted, left)?;
            }
            if let (Some(softmax), Some(key_values)) = (layer.mixer.softmax, key_values) {
                let start = recent_start(config.kept(), window_start(softmax, position), position);
                *key_values = KeyValues::starting_at(key_values.shape(), start);
                read_pages(&mut reader, key_values, Visible::new(config, softmax, position))?;
            }
            if let Some(evicted) = evicted {
                evicted::get_salient(&mut reader, &mut evicted.salient, config.kept(), left)?;
            }
        }
        if reader.at != bytes.len() {
            return Err(invalid(format!("{} bytes follow its end", bytes.len() - reader.at)));
        }
        Ok(state)
    }
}

/// Checks everything before the layers; returns the position.
fn read_header(reader: &mut Reader<'_>, config: &Config, kind: KvType) -> Result<usize> {
    if reader.take(4)? != MAGIC {
        return Err(invalid("the bytes do not start with 'SBST'"));
    }
    let version = reader.u32()?;
    if version != VERSION {
        return Err(invalid(format!("version is {version}; {VERSION} is supported")));
    }
    if reader.take(32)? != fingerprint(config) {
        return Err(invalid("it belongs to a model of another shape or spiking mode"));
    }
    let found = reader.u32()?;
    if found != u32::from(kind == KvType::Int8) {
        return Err(invalid(format!("its keys and values have type {found}; this engine uses {kind:?}")));
    }
    let position = reader.u64()?;
    match usize::try_from(position) {
        Ok(position) if (config.learned_sinks..=MAX_POSITION).contains(&position) => Ok(position),
        _ => Err(invalid(format!("its position must be from {} to {MAX_POSITION}; it is {position}", config.learned_sinks))),
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

fn read_pages(reader: &mut Reader<'_>, key_values: &mut KeyValues, visible: Visible) -> Result<()> {
    let shape = key_values.shape();
    // Before any page is allocated for them.
    if reader.bytes.len() - reader.at < visible.count().saturating_mul(shape.saved_token_bytes()) {
        return Err(invalid(format!("it ends within the {} tokens of a page or more", visible.count())));
    }
    for index in held_pages(visible.keep, key_values.recent_start(), visible.position) {
        let mut page = Page::new(shape)?;
        get_page(reader, shape, &mut page, visible.slots(index))?;
        key_values.put(index, filled(index, visible.position), visible.keep, page);
    }
    Ok(())
}

fn put_page(out: &mut Vec<u8>, shape: KvShape, page: &Page, slots: impl Iterator<Item = usize>) {
    for slot in slots {
        for head in 0..shape.heads {
            put_row(out, shape, page, head, slot);
        }
    }
}

fn get_page(reader: &mut Reader<'_>, shape: KvShape, page: &mut Page, slots: impl Iterator<Item = usize>) -> Result<()> {
    for slot in slots {
        for head in 0..shape.heads {
            get_row(reader, shape, page, head, slot)?;
        }
    }
    Ok(())
}
