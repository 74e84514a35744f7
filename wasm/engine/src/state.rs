//! A conversation's memory as a value: new, step, fork, save, load, size.
//!
//! Linear branches keep one matrix per KV head; softmax branches keep keys and values in pages of 32 tokens. A window drops the pages that
//! have left it, which makes it a ring without a seam: tokens of a step are appended first, every query sees its own window, and only then
//! are pages dropped, so a step may be of any size. Forks share pages until one of them writes.

use crate::config::{Config, Softmax};
use crate::error::{Error, Result, zeroed};
use crate::kernel::quantise;
use std::collections::VecDeque;
use std::rc::Rc;

/// Tokens of a page.
pub const PAGE_TOKENS: usize = 32;
/// Tokens of a key panel: one for each lane of a kernel.
pub const PANEL_TOKENS: usize = 4;

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
}

/// Keys and values of 32 tokens in one layer.
///
/// | part | order |
/// |---|---|
/// | f32 keys | `[head, panel, dim, token in panel]` |
/// | int8 keys | `[head, panel, dim / 4, token in panel, dim % 4]` |
/// | values | `[head, token, dim]` |
/// | scales | `[head, token]` |
#[derive(Debug, Clone)]
pub enum Page {
    /// Dense.
    F32 {
        /// Keys after RoPE.
        keys: Vec<f32>,
        /// Values.
        values: Vec<f32>,
    },
    /// Quantised.
    Int8 {
        /// Key codes.
        keys: Vec<i8>,
        /// Value codes.
        values: Vec<i8>,
        /// What a key code is worth.
        key_scales: Vec<f32>,
        /// What a value code is worth.
        value_scales: Vec<f32>,
    },
}

impl Page {
    fn new(shape: KvShape) -> Result<Self> {
        let tokens = PAGE_TOKENS * shape.heads;
        const WHAT: &str = "a page of keys and values";
        Ok(match shape.kind {
            KvType::F32 => Self::F32 { keys: zeroed(tokens * shape.head_dim, WHAT)?, values: zeroed(tokens * shape.head_dim, WHAT)? },
            KvType::Int8 => Self::Int8 {
                keys: zeroed(tokens * shape.padded_dim(), WHAT)?,
                values: zeroed(tokens * shape.head_dim, WHAT)?,
                key_scales: zeroed(tokens, WHAT)?,
                value_scales: zeroed(tokens, WHAT)?,
            },
        })
    }

    /// Writes the token at `slot` of the page; `key` and `value` are `[heads, head_dim]`.
    fn write(&mut self, shape: KvShape, slot: usize, key: &[f32], value: &[f32]) {
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
                let mut codes = [0i8; 1024];
                for head in 0..shape.heads {
                    let row = head * PAGE_TOKENS + slot;
                    let codes = &mut codes[..dim];
                    key_scales[row] = quantise(&key[head * dim..(head + 1) * dim], codes);
                    for (d, code) in codes.iter().enumerate() {
                        keys[code_key_index(shape.padded_dim(), head, slot, d)] = *code;
                    }
                    value_scales[row] = quantise(&value[head * dim..(head + 1) * dim], &mut values[row * dim..(row + 1) * dim]);
                }
            }
        }
    }
}

fn dense_key_index(dim: usize, head: usize, slot: usize, d: usize) -> usize {
    ((head * (PAGE_TOKENS / PANEL_TOKENS) + slot / PANEL_TOKENS) * dim + d) * PANEL_TOKENS + slot % PANEL_TOKENS
}

fn code_key_index(padded: usize, head: usize, slot: usize, d: usize) -> usize {
    let panel = head * (PAGE_TOKENS / PANEL_TOKENS) + slot / PANEL_TOKENS;
    panel * PANEL_TOKENS * padded + d / 4 * 16 + slot % PANEL_TOKENS * 4 + d % 4
}

/// Keys and values of one softmax layer, by absolute position.
#[derive(Debug, Clone)]
pub struct KeyValues {
    shape: KvShape,
    /// Pages that never leave: those with sinks or kept tokens.
    kept: Vec<Rc<Page>>,
    /// Index of the first page of `recent`.
    recent_start: usize,
    recent: VecDeque<Rc<Page>>,
}

impl KeyValues {
    fn new(shape: KvShape) -> Self {
        Self { shape, kept: Vec::new(), recent_start: 0, recent: VecDeque::new() }
    }

    /// Sizes.
    pub fn shape(&self) -> KvShape {
        self.shape
    }

    /// The page of this index, unless it has been dropped or not yet begun.
    pub fn page(&self, index: usize) -> Option<&Page> {
        match self.kept.get(index) {
            Some(page) => Some(page),
            None => index.checked_sub(self.recent_start).and_then(|at| self.recent.get(at)).map(Rc::as_ref),
        }
    }

    /// Appends the token at `position`, which must be the next one.
    pub fn append(&mut self, position: usize, keep: usize, key: &[f32], value: &[f32]) -> Result<()> {
        let index = position / PAGE_TOKENS;
        let kept_pages = keep.div_ceil(PAGE_TOKENS);
        if self.page(index).is_none() {
            let page = Rc::new(Page::new(self.shape)?);
            if index < kept_pages {
                self.kept.push(page);
            } else {
                if self.recent.is_empty() {
                    self.recent_start = index;
                }
                self.recent.push_back(page);
            }
        }
        let page = match self.kept.get_mut(index) {
            Some(page) => Some(page),
            None => self.recent.get_mut(index - self.recent_start),
        };
        if let Some(page) = page {
            Rc::make_mut(page).write(self.shape, position % PAGE_TOKENS, key, value);
        }
        Ok(())
    }

    /// Drops the pages that hold nothing from `position` on.
    pub fn drop_before(&mut self, position: usize) {
        while !self.recent.is_empty() && (self.recent_start + 1) * PAGE_TOKENS <= position {
            self.recent.pop_front();
            self.recent_start += 1;
        }
    }

    fn pages(&self) -> usize {
        self.kept.len() + self.recent.len()
    }
}

/// One layer's part of a state.
#[derive(Debug, Clone, Default)]
pub struct LayerState {
    /// `[KV heads, key dim, value dim]`, empty without a linear branch (`model.md` 1.3: the heads of a group share it).
    pub linear: Vec<f32>,
    /// Present with a softmax branch.
    pub key_values: Option<KeyValues>,
}

/// The whole memory of one sequence.
#[derive(Debug, Clone)]
pub struct State {
    position: usize,
    layers: Vec<LayerState>,
}

/// The first position that a query at `position` sees beside the kept ones.
pub fn window_start(softmax: Softmax, position: usize) -> usize {
    match softmax {
        Softmax::Full => 0,
        Softmax::Window(width) => (position + 1).saturating_sub(width),
    }
}

impl State {
    /// Nothing read yet.
    pub fn new(config: &Config, kind: KvType) -> Result<Self> {
        let shape = KvShape { heads: config.kv_heads, head_dim: config.head_dim, kind };
        let layers = config
            .layers
            .iter()
            .map(|layer| {
                Ok(LayerState {
                    linear: if layer.mixer.linear.is_some() {
                        zeroed(config.kv_heads * config.head_dim * config.head_dim, "a linear state")?
                    } else {
                        Vec::new()
                    },
                    key_values: layer.mixer.softmax.map(|_| KeyValues::new(shape)),
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self { position: 0, layers })
    }

    /// Tokens read, sinks included.
    pub fn position(&self) -> usize {
        self.position
    }

    pub(crate) fn layer_mut(&mut self, index: usize) -> &mut LayerState {
        &mut self.layers[index]
    }

    /// After all layers have read `count` more tokens: moves on and drops what has left the windows.
    pub(crate) fn advance(&mut self, config: &Config, count: usize) {
        self.position += count;
        for (layer, state) in config.layers.iter().zip(&mut self.layers) {
            if let (Some(softmax), Some(key_values)) = (layer.mixer.softmax, &mut state.key_values) {
                key_values.drop_before(window_start(softmax, self.position));
            }
        }
    }

    /// Bytes it takes now. Pages shared with a fork are counted in both.
    pub fn bytes(&self) -> usize {
        self.layers
            .iter()
            .map(|layer| layer.linear.len() * 4 + layer.key_values.as_ref().map_or(0, |kv| kv.pages() * kv.shape.page_bytes()))
            .sum()
    }

    /// Most bytes a state takes while it reads up to `position` in steps of at most `step` tokens.
    pub fn bytes_at(config: &Config, kind: KvType, position: usize, step: usize) -> usize {
        let shape = KvShape { heads: config.kv_heads, head_dim: config.head_dim, kind };
        let kept_pages = config.kept().div_ceil(PAGE_TOKENS);
        config
            .layers
            .iter()
            .map(|layer| {
                let linear = if layer.mixer.linear.is_some() { config.kv_heads * config.head_dim * config.head_dim * 4 } else { 0 };
                let all = position.div_ceil(PAGE_TOKENS);
                let pages = match layer.mixer.softmax {
                    None => 0,
                    Some(Softmax::Full) => all,
                    // A window lies across one page more than it fills, and a step comes on top of it.
                    Some(Softmax::Window(width)) => all.min(kept_pages + (width + step).div_ceil(PAGE_TOKENS) + 1),
                };
                linear + pages * shape.page_bytes()
            })
            .sum()
    }
}

mod snapshot;

impl Config {
    /// Leading positions that every token sees: learned sinks or kept tokens.
    pub fn kept(&self) -> usize {
        self.learned_sinks.max(self.kept_tokens)
    }
}

/// Refuses what the fixed buffers of this module cannot hold.
pub(crate) fn check(config: &Config) -> Result<()> {
    if config.head_dim > 1024 {
        return Err(Error::UnsupportedModel(format!("a head width of {}; at most 1024 is supported", config.head_dim)));
    }
    Ok(())
}
