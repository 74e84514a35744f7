//! What a model is loaded with.

use serde::Deserialize;
use spikingbrain_engine::config::{Cut, Rank};
use spikingbrain_engine::spike::SpikingMode;
use spikingbrain_engine::state::{Digests, KvType};

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub enum KvName {
    Int8,
    F32,
}

impl From<KvName> for KvType {
    fn from(name: KvName) -> Self {
        match name {
            KvName::Int8 => Self::Int8,
            KvName::F32 => Self::F32,
        }
    }
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub enum SpikesName {
    Off,
    Paper,
    Released,
}

impl From<SpikesName> for SpikingMode {
    fn from(name: SpikesName) -> Self {
        match name {
            SpikesName::Off => Self::Off,
            SpikesName::Paper => Self::Paper,
            SpikesName::Released => Self::Released,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoadOptions {
    pub kv_type: KvName,
    pub memory_limit_bytes: Option<usize>,
    pub spikes: Option<SpikesName>,
    rank: Option<usize>,
    ranks: Option<usize>,
    model_digest: Option<Digest>,
    tokenizer_digest: Option<Digest>,
    pub cut: Option<CutRanges>,
}

/// A part of a model: `[from, to)` of each.
#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CutRanges {
    embedding: [usize; 2],
    sublayers: [usize; 2],
    head: [usize; 2],
}

impl From<CutRanges> for Cut {
    fn from(CutRanges { embedding, sublayers, head }: CutRanges) -> Self {
        let range = |[from, to]: [usize; 2]| from..to;
        Self { embedding: range(embedding), sublayers: range(sublayers), head: range(head) }
    }
}

impl LoadOptions {
    /// Alone where it is not said.
    pub fn rank(&self) -> spikingbrain_engine::Result<Rank> {
        Rank::new(self.rank.unwrap_or(0), self.ranks.unwrap_or(1))
    }

    /// Zeros for what is not known.
    pub fn digests(&self) -> Digests {
        let bytes = |digest: &Option<Digest>| digest.as_ref().map_or([0; 32], |digest| digest.0);
        Digests { model: bytes(&self.model_digest), tokenizer: bytes(&self.tokenizer_digest) }
    }
}

/// A SHA-256.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Digest([u8; 32]);

impl TryFrom<String> for Digest {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("a digest must be 64 hexadecimal digits; it is '{text}'");
        let pairs =
            text.as_bytes().chunks(2).map(|pair| core::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()));
        let bytes = if text.bytes().all(|byte| byte.is_ascii_hexdigit()) { pairs.collect::<Option<Vec<u8>>>() } else { None };
        bytes.and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or_else(wrong)
    }
}
