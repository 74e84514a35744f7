//! What a file's header alone says of its model, and what it would take: for models that do not fit this host, too.

use super::gguf::Header;
use super::header_buffer::HeaderBuffer;
use super::loader::matched;
use super::matrix::{packed_bytes, panel_rows};
use super::names::{Form, Spec};
use super::outliers::Outliers;
use super::tensor_type::TensorType;
use crate::config::{Config, Cut, FeedForward};
use crate::engine::kept_back;
use crate::error::{Error, Result};
use crate::model::Scratch;
use std::collections::BTreeMap;

/// A model that has not been loaded.
#[derive(Debug)]
pub struct Inspection {
    /// Its config.
    pub config: Config,
    /// Elements of all its tensors.
    pub parameters: u64,
    /// Those that one token passes through: all but the experts it is not routed to.
    pub active_parameters: u64,
    /// Memory that its weights take once they are packed.
    pub weight_bytes: u64,
    /// How many tensors of the file have each type.
    pub types: BTreeMap<&'static str, usize>,
    /// Whether embedding and head are one matrix.
    pub tied: bool,
    /// Packed bytes and rows of each tensor.
    tensors: Vec<(String, u64, usize)>,
    /// Rank of low-rank gates; 0 without any.
    gate_rank: usize,
}

impl Inspection {
    /// Of a header; refuses what a loader would refuse at this point.
    pub fn new(header: Header) -> Result<Self> {
        let config = Config::from_header(&header)?;
        let mut inspection = Self {
            parameters: 0,
            active_parameters: 0,
            weight_bytes: 0,
            types: BTreeMap::new(),
            tied: true,
            tensors: Vec::new(),
            gate_rank: 0,
            config,
        };
        let pairs = matched(&inspection.config, header)?;
        for (info, spec) in &pairs {
            *inspection.types.entry(info.kind.name()).or_default() += 1;
            inspection.parameters += spec.parameters();
            inspection.active_parameters += active(&inspection.config, spec);
            let bytes = match spec.form {
                Form::Matrix | Form::RotaryMatrix => packed_bytes(info.kind, spec.rows, spec.columns),
                Form::HeadMatrices => {
                    let dim = inspection.config.head_dim;
                    packed_bytes(info.kind, spec.rows / dim * panel_rows(dim), spec.columns)
                }
                Form::Vector | Form::RotaryVector => packed_bytes(TensorType::F32, 1, spec.rows) / super::matrix::PANEL_ROWS as u64,
                // Scales lie among the codes they belong to.
                Form::Scales => 0,
                Form::Outliers => {
                    let weight = spec.name.replace(".outliers", ".weight");
                    let rows = pairs.iter().find(|(info, _)| info.name == weight).map_or(0, |(_, spec)| spec.rows);
                    Outliers::bytes_of(rows, spec.rows)
                }
            };
            inspection.weight_bytes += bytes;
            inspection.tied &= info.name != "output.weight";
            if info.name.ends_with("attn_gate_a.weight") {
                inspection.gate_rank = spec.rows.max(inspection.gate_rank);
            }
            inspection.tensors.push((info.name.clone(), bytes, spec.rows));
        }
        Ok(inspection)
    }

    /// What an engine that holds this part of the model needs of its memory: weights, and buffers of passes of so many tokens whose longest
    /// sequence ends before `position`. States come on top.
    pub fn part(&self, cut: &Cut, pass_tokens: usize, position: usize) -> Result<PartMemory> {
        cut.check(&self.config)?;
        let mut weights = 0;
        for (name, bytes, rows) in self.tensors.iter().filter(|(name, ..)| cut.wants(name, self.tied)) {
            let stem = name.split('.').next().unwrap_or_default();
            let own = if ["token_embd", "output"].contains(&stem) { cut.vocabulary_rows(stem, self.tied).len() } else { *rows };
            weights += if own < *rows { (bytes * own as u64).div_ceil(*rows as u64) } else { *bytes };
        }
        let config = Config { cut: cut.clone(), ..self.config.clone() };
        let buffers = Scratch::bytes(&config, self.gate_rank, pass_tokens, position)? + kept_back(&config);
        Ok(PartMemory { weights, buffers: buffers as u64 })
    }
}

/// Bytes that a part of a model takes beside its states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartMemory {
    /// Packed weights.
    pub weights: u64,
    /// Of passes, of what crosses between parts, and what is kept back for sampling and for the allocator.
    pub buffers: u64,
}

/// Of an expert matrix only the part of those that a token uses.
fn active(config: &Config, spec: &Spec) -> u64 {
    let experts = config.layers.iter().find_map(|layer| match layer.feed_forward {
        FeedForward::Experts(experts) => Some(experts),
        FeedForward::Dense(_) => None,
    });
    match experts {
        Some(experts) if spec.name.ends_with("_exps.weight") => spec.parameters() / experts.count as u64 * experts.used as u64,
        _ => spec.parameters(),
    }
}

/// Takes a file's first bytes, in chunks of any size, until its header is there.
#[derive(Debug, Default)]
pub struct Inspector {
    buffer: HeaderBuffer,
}

impl Inspector {
    /// The next bytes; the inspection once the header is whole.
    pub fn push(&mut self, mut chunk: &[u8]) -> Result<Option<Inspection>> {
        self.buffer.push(&mut chunk)?.map(Inspection::new).transpose()
    }

    /// After the last byte: the header must have been there.
    pub fn finish(mut self) -> Result<Inspection> {
        match self.buffer.parse()? {
            Some(header) => Inspection::new(header),
            None => Err(Error::InvalidGguf(format!("the file ends after {} bytes, within its header", self.buffer.len()))),
        }
    }
}
