//! Where everything is in a state file, which follows from the config and the header alone: a list of sections, each of units of one size.

use super::super::page::{KvShape, KvType, PAGE_TOKENS};
use super::super::{evicted_before, window_start};
use crate::config::{Config, Cut, Softmax};
use core::ops::Range;

/// How linear states and sums of evicted tokens are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RecurrentType {
    /// As they are.
    #[default]
    F32,
    /// Rounded to nearest even.
    Bf16,
}

impl RecurrentType {
    fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 => 2,
        }
    }
}

/// How the numbers of a file are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoding {
    pub kv: KvType,
    pub recurrent: RecurrentType,
}

/// Softmax layers that see as far.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    pub extent: Softmax,
    pub layers: Vec<usize>,
    /// Bytes of one token.
    pub token_bytes: usize,
}

/// Those of a model, in order of first appearance.
pub fn groups(config: &Config, kv: KvType) -> Vec<Group> {
    let layer_bytes = saved_token_bytes(config, kv);
    let mut groups: Vec<Group> = Vec::new();
    for (index, layer) in config.layers.iter().enumerate() {
        let Some(extent) = layer.mixer.softmax else { continue };
        match groups.iter_mut().find(|group| group.extent == extent) {
            Some(group) => {
                group.layers.push(index);
                group.token_bytes += layer_bytes;
            }
            None => groups.push(Group { extent, layers: vec![index], token_bytes: layer_bytes }),
        }
    }
    groups
}

/// The tokens of a group that the next query still sees, without those before some page: kept ones, then those within the window.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Visible {
    kept: Range<usize>,
    near: Range<usize>,
}

impl Visible {
    fn new(config: &Config, extent: Softmax, position: usize, from_page: usize) -> Self {
        let first = from_page.saturating_mul(PAGE_TOKENS);
        let start = window_start(extent, position).min(position);
        let kept = config.kept().min(start);
        Self { kept: first.min(kept)..kept, near: start.max(first).min(position)..position }
    }

    fn count(&self) -> usize {
        self.kept.len() + self.near.len()
    }

    fn position(&self, index: usize) -> usize {
        match index.checked_sub(self.kept.len()) {
            None => self.kept.start + index,
            Some(index) => self.near.start + index,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Of a layer; a unit is one row of a KV head's matrix.
    Linear(usize),
    /// Of a layer; a unit is one feature's row of a KV head's sums and its normaliser.
    Sums(usize),
    /// Of a layer, of which so many slots are filled; a unit is one slot of a KV head.
    Salient(usize, usize),
    /// Of a group; a unit is a token's key and value in one layer and KV head.
    Rows(usize),
}

impl Content {
    /// For messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Linear(_) => "a layer's linear state",
            Self::Sums(_) => "a layer's sums of evicted tokens",
            Self::Salient(..) => "the salient tokens of a layer",
            Self::Rows(_) => "the keys and values of a token",
        }
    }
}

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct Section {
    pub content: Content,
    pub unit_bytes: usize,
    /// No linear memory holds as many bytes as a hostile header may ask for.
    pub units: u64,
}

impl Section {
    /// Numbers of a unit of the recurrent part.
    pub fn width(&self, encoding: Encoding) -> usize {
        self.unit_bytes / encoding.recurrent.bytes()
    }

    fn bytes(&self) -> u64 {
        self.unit_bytes as u64 * self.units
    }
}

/// See the module.
#[derive(Debug)]
pub struct Layout {
    pub groups: Vec<Group>,
    pub sections: Vec<Section>,
    /// Of each group, the layers whose rows are in these sections.
    own: Vec<Vec<usize>>,
    visible: Vec<Visible>,
    kv_heads: usize,
}

impl Layout {
    /// Of what a cut of the model has of the file of a state at `position`, without the rows of tokens before `from_page`.
    pub fn new(config: &Config, cut: &Cut, encoding: Encoding, position: usize, from_page: usize) -> Self {
        let (heads, dim) = (config.kv_heads, config.head_dim);
        let row_bytes = KvShape { heads: 1, head_dim: dim, kind: encoding.kv }.saved_token_bytes();
        let groups = groups(config, encoding.kv);
        let mut sections = Vec::new();
        let mut add = |content, unit_bytes, units| {
            if units > 0 {
                sections.push(Section { content, unit_bytes, units });
            }
        };
        for (index, layer) in config.layers.iter().enumerate().filter(|(index, _)| cut.mixes(*index)) {
            if layer.mixer.linear.is_some() {
                add(Content::Linear(index), dim * encoding.recurrent.bytes(), (heads * dim) as u64);
            }
            let (Some(evicted), Some(Softmax::Window(width))) = (layer.mixer.evicted, layer.mixer.softmax) else { continue };
            let left = evicted_before(config, width, position);
            let filled = evicted.salient.min(left);
            if left > 0 {
                add(Content::Sums(index), (dim + 1) * encoding.recurrent.bytes(), (heads * 2 * dim) as u64);
                add(Content::Salient(index, filled), 4 + 4 + row_bytes, heads as u64 * filled as u64);
            }
        }
        let visible: Vec<Visible> = groups.iter().map(|group| Visible::new(config, group.extent, position, from_page)).collect();
        let of_cut = |group: &Group| group.layers.iter().copied().filter(|layer| cut.mixes(*layer)).collect();
        let own: Vec<Vec<usize>> = groups.iter().map(of_cut).collect();
        for (index, (layers, visible)) in own.iter().zip(&visible).enumerate() {
            add(Content::Rows(index), row_bytes, visible.count() as u64 * (layers.len() * heads) as u64);
        }
        Self { groups, sections, own, visible, kv_heads: heads }
    }

    /// Bytes before the groups' rows.
    pub fn head_bytes(&self) -> u64 {
        self.sections.iter().filter(|section| !matches!(section.content, Content::Rows(_))).map(Section::bytes).sum()
    }

    /// Of each group, how many tokens' rows there are, and bytes of each token's.
    pub fn runs(&self) -> impl Iterator<Item = (usize, usize)> {
        let of_group = |((group, own), visible): ((&Group, &Vec<usize>), &Visible)| {
            (visible.count(), group.token_bytes / group.layers.len() * own.len())
        };
        self.groups.iter().zip(&self.own).zip(&self.visible).map(of_group)
    }

    /// Bytes behind the header.
    pub fn bytes(&self) -> u64 {
        self.sections.iter().map(Section::bytes).sum()
    }

    /// Bytes of the longest unit.
    pub fn longest_unit(&self) -> usize {
        self.sections.iter().map(|section| section.unit_bytes).max().unwrap_or(0)
    }

    /// Position, layer and KV head of a unit of a group's rows.
    #[allow(clippy::cast_possible_truncation)]
    pub fn row(&self, group: usize, unit: u64) -> (usize, usize, usize) {
        let heads = self.kv_heads as u64;
        let layers = &self.own[group];
        let (of_layers, head) = (unit / heads, (unit % heads) as usize);
        let (token, layer) = ((of_layers / layers.len() as u64) as usize, (of_layers % layers.len() as u64) as usize);
        (self.visible[group].position(token), layers[layer], head)
    }
}

fn saved_token_bytes(config: &Config, kv: KvType) -> usize {
    KvShape { heads: config.kv_heads, head_dim: config.head_dim, kind: kv }.saved_token_bytes()
}
