//! Streams a GGUF into packed weights: at no time are more than the rows of two panels in memory twice, beside what is given at once.

mod current;
mod matching;

use super::gguf::{Header, TensorInfo, Value};
use super::header_buffer::HeaderBuffer;
use super::matrix::{Matrix, panel_rows};
use super::names::{Form, Slice, Spec, w8_names};
use super::outliers::Entry;
use super::tensor_type::TensorType;
use crate::config::{Config, Cut, Rank};
use crate::error::{Error, Result};
use crate::memory::{bytes_of, grow_once, with_capacity, zeroed};
use crate::spike::SpikingMode;
use current::Current;
pub(super) use matching::matched;
use matching::part;
use std::collections::HashMap;

/// A loaded tensor.
#[derive(Debug)]
pub enum Tensor {
    /// For products and look-ups.
    Matrix(Matrix),
    /// For norms and biases.
    Vector(Vec<f32>),
    /// Of W8 weights, until they are joined with their codes: `[rows, groups]`.
    Scales(Vec<f32>),
    /// Of W8 weights, until they are joined with their codes.
    Outliers(Vec<Entry>),
}

impl Tensor {
    fn bytes(&self) -> usize {
        match self {
            Self::Matrix(matrix) => matrix.bytes(),
            Self::Vector(vector) | Self::Scales(vector) => bytes_of::<f32>(vector.len()),
            Self::Outliers(entries) => bytes_of::<Entry>(entries.len()),
        }
    }
}

/// All loaded tensors by name, with what the file says of the model.
#[derive(Debug)]
pub struct Weights {
    /// The model's config.
    pub config: Config,
    /// By name; [`crate::model::Model`] takes them out.
    pub tensors: HashMap<String, Tensor>,
    /// Elements of all tensors in the file.
    pub parameters: u64,
    /// Memory that the tensors take.
    pub bytes: usize,
    /// Which rank's rows they are.
    pub rank: Rank,
}

/// Accepts a file's bytes in order, in chunks of any size.
#[derive(Debug, Default)]
pub struct Loader {
    buffer: HeaderBuffer,
    position: u64,
    body: Option<Body>,
    weight_limit_bytes: Option<u64>,
    spikes: Option<SpikingMode>,
    rank: Rank,
    cut: Option<Cut>,
    /// After an error the place in the file is lost: it is the answer to everything that follows.
    failed: Option<Error>,
}

#[derive(Debug)]
struct Body {
    config: Config,
    rank: Rank,
    parameters: u64,
    /// Where the file must end.
    end: u64,
    infos: std::vec::IntoIter<(TensorInfo, Spec)>,
    current: Option<Current>,
    /// The first bytes of rows that are packed together, where a chunk has ended within them.
    rows: Vec<u8>,
    tensors: HashMap<String, Tensor>,
    /// Of W8 weights, whose outliers name rows of the whole.
    slices: HashMap<String, Slice>,
}

impl Loader {
    /// `weight_limit_bytes` refuses a model whose weights are larger, before anything is allocated.
    pub fn new(weight_limit_bytes: Option<u64>) -> Self {
        Self { weight_limit_bytes, ..Self::default() }
    }

    /// Spikes in this mode, whatever the file says.
    pub fn with_spikes(mut self, mode: Option<SpikingMode>) -> Self {
        self.spikes = mode;
        self
    }

    /// Keeps the rows of one of several ranks.
    pub fn with_rank(mut self, rank: Rank) -> Self {
        self.rank = rank;
        self
    }

    /// Only this part of the model: the other tensors' bytes are read over, and nothing is allocated for them.
    pub fn with_cut(mut self, cut: Option<Cut>) -> Self {
        self.cut = cut;
        self
    }

    /// Takes the next bytes.
    pub fn push(&mut self, chunk: &[u8]) -> Result<()> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.take(chunk).inspect_err(|error| self.failed = Some(error.clone()))
    }

    /// Where the next byte lies that is needed, counted from the file's start; `None` once nothing more of it is. All before it may be skipped.
    pub fn needed_from(&self) -> Option<u64> {
        let Some(body) = &self.body else {
            return Some(self.position.max(self.buffer.len() as u64));
        };
        body.needed_from(self.position)
    }

    /// Passes over bytes that are not needed.
    pub fn skip(&mut self, bytes: u64) -> Result<()> {
        let end = self.position.saturating_add(bytes);
        match (&self.body, self.needed_from()) {
            (Some(body), needed) if needed.is_none_or(|from| end <= from) => {
                body.must_hold(end)?;
                self.position = end;
                Ok(())
            }
            (_, needed) => Err(Error::InvalidArgument(format!(
                "bytes {} to {end} of the file cannot be skipped; those from {needed:?} on are needed",
                self.position
            ))),
        }
    }

    /// After the last byte: everything must have been there.
    pub fn finish(mut self) -> Result<Weights> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.body.is_none()
            && let Some(header) = self.buffer.parse()?
        {
            self.begin(header)?;
        }
        let Some(body) = self.body else {
            return Err(Error::InvalidGguf(format!("the file ends after {} bytes, within its header", self.buffer.len())));
        };
        body.finish(self.position)
    }

    fn take(&mut self, mut chunk: &[u8]) -> Result<()> {
        if self.body.is_none()
            && let Some(header) = self.buffer.push(&mut chunk)?
        {
            self.begin(header)?;
        }
        if let Some(body) = &mut self.body {
            body.push(self.position, chunk)?;
            self.position += chunk.len() as u64;
        }
        Ok(())
    }

    fn begin(&mut self, header: Header) -> Result<()> {
        let buffer = self.buffer.take();
        let data_offset = header.data_offset;
        let start = usize::try_from(data_offset).map_err(|_| Error::InvalidGguf("the header is too long".to_owned()))?;
        let mut body = Body::new(header, self.cut.as_ref(), self.weight_limit_bytes, self.rank)?;
        if let Some(mode) = self.spikes {
            body.config.spiking.mode = mode;
        }
        body.push(data_offset, &buffer[start..])?;
        self.position = buffer.len() as u64;
        self.body = Some(body);
        Ok(())
    }
}

impl Body {
    fn new(header: Header, cut: Option<&Cut>, weight_limit_bytes: Option<u64>, rank: Rank) -> Result<Self> {
        if matches!(header.metadata.get("split.count"), Some(Value::Integer(n)) if *n > 1) {
            return Err(Error::UnsupportedModel("the file is one of several shards (split.count); join them first".to_owned()));
        }
        let mut config = Config::from_header(&header)?;
        let end = header.end;
        let mut infos = matched(&config, header)?;
        let parameters = infos.iter().map(|(_, spec)| spec.parameters()).fold(0, u64::saturating_add);
        if let Some(cut) = cut {
            if !rank.is_whole() {
                return Err(Error::InvalidArgument("one of several ranks has its rows of the whole model, and no cut of it".to_owned()));
            }
            cut.check(&config)?;
            config.cut = cut.clone();
            infos = part(&config, infos)?;
        }
        let kept = |(info, spec): &(TensorInfo, Spec)| {
            let slice = spec.slice(rank, config.kv_heads);
            u128::from(info.bytes) * slice.len() as u128 / spec.rows.max(1) as u128
        };
        let total = u64::try_from(infos.iter().map(kept).sum::<u128>()).unwrap_or(u64::MAX);
        if let Some(limit) = weight_limit_bytes.filter(|limit| total > *limit) {
            return Err(Error::OutOfMemory {
                what: "weights",
                needed: usize::try_from(total).unwrap_or(usize::MAX),
                free: usize::try_from(limit).unwrap_or(usize::MAX),
            });
        }
        grow_once(total);
        let infos = infos.into_iter();
        Ok(Self { config, rank, parameters, end, infos, current: None, rows: Vec::new(), tensors: HashMap::new(), slices: HashMap::new() })
    }

    /// See [`Loader::needed_from`].
    fn needed_from(&self, position: u64) -> Option<u64> {
        match &self.current {
            Some(_) if !self.rows.is_empty() => Some(position),
            Some(current) => current.needed_from(),
            None => self.infos.as_slice().iter().find_map(|(info, spec)| {
                let first = if spec.form.is_vector() { Some(0) } else { spec.slice(self.rank, self.config.kv_heads).next(0) };
                first.map(|row| info.offset + row as u64 * row_bytes(info, spec) as u64)
            }),
        }
    }

    /// Refuses a file that goes on to `position` behind its end.
    fn must_hold(&self, position: u64) -> Result<()> {
        if position > self.end {
            return Err(Error::InvalidGguf(format!("the file goes on past its end at byte {}", self.end)));
        }
        Ok(())
    }

    /// Takes the bytes at `position` of the file.
    fn push(&mut self, mut position: u64, mut chunk: &[u8]) -> Result<()> {
        self.must_hold(position + chunk.len() as u64)?;
        while !chunk.is_empty() {
            if self.current.is_none() && !self.start_next()? {
                // The padding after the last tensor.
                return Ok(());
            }
            let needed = self.needed_from(position).unwrap_or(u64::MAX);
            let Some(current) = &mut self.current else {
                return Ok(());
            };
            if position < needed {
                let gap = usize::try_from(needed - position).unwrap_or(usize::MAX).min(chunk.len());
                (position, chunk) = (position + gap as u64, &chunk[gap..]);
                continue;
            }
            let row_bytes = row_bytes(&current.info, &current.spec);
            let there = if self.rows.is_empty() { chunk.len() / row_bytes } else { 0 };
            let together = current.rows_together(there) * row_bytes;
            let taken = if self.rows.is_empty() && chunk.len() >= together {
                current.set_next_rows(&chunk[..together], row_bytes)?;
                together
            } else {
                let taken = (together - self.rows.len()).min(chunk.len());
                self.rows.extend_from_slice(&chunk[..taken]);
                if self.rows.len() == together {
                    current.set_next_rows(&self.rows, row_bytes)?;
                    self.rows.clear();
                }
                taken
            };
            (position, chunk) = (position + taken as u64, &chunk[taken..]);
            if current.needed_row().is_none()
                && let Some(done) = self.current.take()
            {
                self.keep(done)?;
            }
        }
        Ok(())
    }

    /// Goes on to the next tensor of which something is kept; whether there is one.
    fn start_next(&mut self) -> Result<bool> {
        while let Some((info, spec)) = self.infos.next() {
            let slice = spec.slice(self.rank, self.config.kv_heads);
            let tensor = match spec.form {
                Form::Matrix | Form::RotaryMatrix => Tensor::Matrix(Matrix::part(info.kind, (spec.rows, slice.len()), spec.columns)?),
                Form::HeadMatrices => {
                    let rows = |rows: usize| rows / self.config.head_dim * panel_rows(self.config.head_dim);
                    Tensor::Matrix(Matrix::part(info.kind, (rows(spec.rows), rows(slice.len())), spec.columns)?)
                }
                Form::Vector | Form::RotaryVector => Tensor::Vector(zeroed(slice.len(), "weights")?),
                Form::Scales => Tensor::Scales(with_capacity(slice.len().saturating_mul(spec.columns), "weights")?),
                Form::Outliers => Tensor::Outliers(with_capacity(spec.rows, "weights")?),
            };
            let current = Current { info, spec, slice, head_dim: self.config.head_dim, tensor, next_row: 0 };
            if current.needed_row().is_some() {
                self.current = Some(current);
                return Ok(true);
            }
            self.keep(current)?;
        }
        Ok(false)
    }

    /// Keeps a tensor that is complete; W8 codes, scales and outliers become one as soon as they are there, in whatever order they come.
    fn keep(&mut self, done: Current) -> Result<()> {
        let Current { info, spec, slice, tensor, .. } = done;
        self.tensors.insert(info.name.clone(), tensor);
        if info.kind != TensorType::I8 && !matches!(spec.form, Form::Scales | Form::Outliers) {
            return Ok(());
        }
        if info.kind == TensorType::I8 {
            self.slices.insert(info.name.clone(), slice);
        }
        let stem = info.name.rsplit_once('.').map_or("", |(stem, _)| stem);
        let weight = format!("{stem}.weight");
        let (scales, outliers) = w8_names(&weight);
        let (scales_found, outliers_found) = (self.tensors.remove(&scales), self.tensors.remove(&outliers));
        let Some(Tensor::Matrix(matrix)) = self.tensors.get_mut(&weight) else {
            self.tensors.extend(scales_found.map(|found| (scales, found)));
            self.tensors.extend(outliers_found.map(|found| (outliers, found)));
            return Ok(());
        };
        if let Some(Tensor::Scales(values)) = scales_found {
            matrix.set_scales(&values, &scales)?;
        }
        match outliers_found {
            Some(Tensor::Outliers(entries)) if matrix.is_scaled() => matrix.set_outliers(&entries, &self.slices[&weight], &outliers)?,
            found => self.tensors.extend(found.map(|found| (outliers, found))),
        }
        Ok(())
    }

    fn finish(mut self, position: u64) -> Result<Weights> {
        // Of what follows, this rank may have nothing.
        if self.current.is_some() || self.start_next()? {
            let (place, name) = match &self.current {
                Some(Current { info, .. }) if position > info.offset => ("within", info.name.as_str()),
                Some(Current { info, .. }) => ("before", info.name.as_str()),
                None => ("before", ""),
            };
            return Err(Error::InvalidGguf(format!("the file ends after {position} bytes, {place} tensor '{name}'")));
        }
        let bytes = self.tensors.values().map(Tensor::bytes).sum();
        Ok(Weights { config: self.config, rank: self.rank, tensors: self.tensors, parameters: self.parameters, bytes })
    }
}

/// Bytes of a row in the file: a vector is one.
fn row_bytes(info: &TensorInfo, spec: &Spec) -> usize {
    info.kind.row_bytes(if spec.form.is_vector() { info.columns() } else { spec.columns })
}
