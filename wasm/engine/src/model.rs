//! The forward pass, readable from top to bottom.

mod evicted;
pub mod exchange;
mod layer;
mod mixing;
mod scratch;
mod span;

pub use scratch::Scratch;

use crate::config::{Config, Rank};
use crate::error::{Error, Result};
use crate::kernel::{Active, product};
use crate::layer::projection::Tensors;
use crate::layer::rms_norm::rms_norm;
use crate::layer::rope::Rope;
use crate::math::add_scaled;
use crate::memory::{Allowance, bytes_of, zeroed};
use crate::spike::{Site, SpikeMeter};
use crate::state::{KvType, State};
use crate::weights::Matrix;
use crate::weights::loader::Weights;
use crate::weights::matrix::PANEL_ROWS;
use evicted::EvictedAngles;
use exchange::{Exchange, Ranks, exchanged_floats};
use layer::{Feeding, Layer};
use smallvec::SmallVec;
use span::Span;

/// Most tokens of one pass; more are cut into several, so that buffers stay small.
pub const MAX_PASS_TOKENS: usize = 64;
/// Sequences of a pass whose lists take no allocation; more of them take some.
pub const FEW_SEQUENCES: usize = 16;
/// Rows of logits computed at a time.
const LOGIT_ROWS: usize = 4;

/// Weights and config: immutable, shared by all sequences.
#[derive(Debug)]
pub struct Model {
    config: Config,
    /// The config with this rank's heads alone: what mixers compute, and states keep.
    part: Config,
    ranks: Ranks,
    parameters: u64,
    weight_bytes: usize,
    /// Rows of the vocabulary that the cut holds, as of the head.
    embedding: Option<Matrix>,
    head: Option<Matrix>,
    output_norm: Option<Vec<f32>>,
    sinks: Option<Matrix>,
    rope: Rope,
    evicted_angles: Option<EvictedAngles>,
    /// From the cut's first layer on.
    layers: Vec<Layer>,
}

/// One sequence's tokens that a pass reads.
#[derive(Debug)]
pub struct Segment<'a> {
    /// Advanced by the tokens.
    pub state: &'a mut State,
    /// What to read, at least one.
    pub tokens: &'a [u32],
    /// From this many tokens of text on, linear branches go token by token: where a prompt ends and decode begins, so that reading the same
    /// text again takes the same path.
    pub recurrent_from: usize,
    /// Which tokens' logits are wanted.
    pub logits: Wanted,
    /// Where spikes are counted.
    pub counting: Option<Counting<'a>>,
}

/// A row of a pass, its segment, and its token within that.
pub type WantedRow = (usize, usize, usize);
/// Those of a pass.
pub type WantedRows = SmallVec<[WantedRow; MAX_PASS_TOKENS]>;

/// Counts the spikes of a segment.
#[derive(Debug)]
pub struct Counting<'a> {
    /// Added to.
    pub meter: &'a mut SpikeMeter,
    /// Tokens of the segment before this one have been counted already, or are not wanted.
    pub from: usize,
}

/// Which positions of a segment get logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// None: more of the prompt follows.
    None,
    /// The last token's.
    Last,
    /// Every token's.
    All,
}

impl Model {
    /// Puts the loaded tensors where they belong: those of a whole model.
    pub fn new(weights: Weights) -> Result<Self> {
        if !weights.rank.is_whole() {
            return Err(Error::InvalidArgument(format!("an exchange must be given where ranks are {}", weights.rank.ranks())));
        }
        Self::with_ranks(weights, Ranks::default())
    }

    /// As [`Self::new`] for one of several ranks, each of which makes its own model; `exchange` reaches the others.
    pub fn of_rank(weights: Weights, exchange: Box<dyn Exchange>) -> Result<Self> {
        let ranks = Ranks::new(weights.rank, exchange);
        Self::with_ranks(weights, ranks)
    }

    fn with_ranks(weights: Weights, ranks: Ranks) -> Result<Self> {
        let Weights { config, mut tensors, parameters, bytes, rank } = weights;
        let mut tensors = Tensors(&mut tensors);
        let layers = config.cut.layers().map(|index| Layer::take(&mut tensors, &config, index)).collect::<Result<_>>()?;
        let rope = Rope::new(&config);
        Ok(Self {
            parameters,
            weight_bytes: bytes,
            embedding: tensors.optional_matrix("token_embd.weight"),
            head: tensors.optional_matrix("output.weight"),
            output_norm: tensors.optional_vector("output_norm.weight"),
            sinks: tensors.optional_matrix("sink_embd.weight"),
            evicted_angles: EvictedAngles::new(&config, &rope),
            rope,
            layers,
            part: rank.part(&config),
            ranks,
            config,
        })
    }

    /// The model's config.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The config with this rank's heads alone; alone, it is [`Self::config`].
    pub fn part(&self) -> &Config {
        &self.part
    }

    /// Which of several ranks it is.
    pub fn rank(&self) -> Rank {
        self.ranks.rank()
    }

    /// This rank's way to the others.
    pub(crate) fn ranks(&self) -> &Ranks {
        &self.ranks
    }

    /// Elements of all tensors in the file.
    pub fn parameters(&self) -> u64 {
        self.parameters
    }

    /// Memory that the weights take.
    pub fn weight_bytes(&self) -> usize {
        self.weight_bytes
    }

    /// Gives `scratch` the memory of passes of `rows` tokens that end before `position`, now or never: [`Self::forward`] then takes none.
    pub fn reserve(&self, scratch: &mut Scratch, rows: usize, position: usize, allowance: &mut Allowance) -> Result<()> {
        let rank = self.layers.iter().map(Layer::gate_rank).max().unwrap_or(0);
        self.ranks.reserve(exchanged_floats(&self.config, rows, LOGIT_ROWS), allowance)?;
        scratch.reserve(&self.config, rank, rows, allowance)?;
        scratch.attention.reserve(&self.config, position, allowance)
    }

    /// A state with nothing read but the learned sinks.
    pub fn new_state(&self, kind: KvType, scratch: &mut Scratch) -> Result<State> {
        self.new_state_after(kind, None, scratch)
    }

    /// The same where another part of the model comes before this one: `rows`, `[sinks, hidden]`, are the learned sinks' as that part leaves
    /// them. What this one makes of them stays in `scratch`, for [`Self::rows`].
    pub fn new_state_after(&self, kind: KvType, rows: Option<&[f32]>, scratch: &mut Scratch) -> Result<State> {
        let (count, hidden) = (self.config.learned_sinks, self.config.hidden);
        let mut state = State::new(&self.part, kind)?;
        if count == 0 {
            return Ok(state);
        }
        match (rows, &self.sinks) {
            (Some(rows), None) if !self.layers.is_empty() => scratch.set_rows(rows, count, hidden)?,
            (None, Some(sinks)) => {
                scratch.residual.resize(count * hidden, 0.0);
                for (row, target) in scratch.residual.chunks_exact_mut(hidden).enumerate() {
                    sinks.row(row, target);
                }
            }
            (None, None) if self.layers.is_empty() => {
                state.advance(count);
                return Ok(state);
            }
            _ => return Err(Error::InvalidArgument("the learned sinks' rows come from the part of the model before this one".to_owned())),
        }
        scratch.neurons.begin(self.config.spiking);
        let mut span = [Span { state: &mut state, first_row: 0, count, recurrent_from: usize::MAX }];
        self.layers_forward(&mut span, scratch)?;
        state.advance(count);
        Ok(state)
    }

    /// Reads every segment's tokens, at most [`MAX_PASS_TOKENS`] together, and hands out the wanted logits as
    /// `receive(segment, token within the segment, logits over the vocabulary)`, in order. Unknown token ids are refused before anything changes.
    pub fn forward(
        &self,
        segments: &mut [Segment<'_>],
        scratch: &mut Scratch,
        receive: impl FnMut(usize, usize, &mut [f32]),
    ) -> Result<()> {
        let wanted = self.read(segments, None, scratch)?;
        self.hand_out(&wanted, scratch, receive)
    }

    /// Logits of the wanted rows of the last [`Self::read`], as of [`Self::forward`].
    pub fn hand_out(&self, wanted: &[WantedRow], scratch: &mut Scratch, mut receive: impl FnMut(usize, usize, &mut [f32])) -> Result<()> {
        self.logits(wanted, scratch, &mut receive)
    }

    /// As far as this part of the model goes: from the rows that the part before it has left, `[tokens, hidden]`, or from the segments' tokens
    /// where there are none; its own rows stay in `scratch`, for [`Self::rows`]. Which of them logits are wanted of, by row.
    pub fn read(&self, segments: &mut [Segment<'_>], rows: Option<&[f32]>, scratch: &mut Scratch) -> Result<WantedRows> {
        let total: usize = segments.iter().map(|segment| segment.tokens.len()).sum();
        if total > MAX_PASS_TOKENS {
            return Err(Error::InvalidArgument(format!("a pass of {total} tokens; at most {MAX_PASS_TOKENS} are allowed")));
        }
        match rows {
            Some(rows) => scratch.set_rows(rows, total, self.config.hidden)?,
            None => self.embed(segments, total, scratch)?,
        }
        let mut wanted = WantedRows::new();
        let mut spans: SmallVec<[Span<'_>; FEW_SEQUENCES]> = SmallVec::new();
        let mut meters: SmallVec<[&mut SpikeMeter; FEW_SEQUENCES]> = SmallVec::new();
        let mut row = 0;
        scratch.neurons.begin(self.config.spiking);
        for (index, segment) in segments.iter_mut().enumerate() {
            let count = segment.tokens.len();
            if let Some(Counting { meter, from }) = &mut segment.counting {
                scratch.neurons.count(row + count.min(*from)..row + count, core::mem::take(*meter));
                meters.push(&mut **meter);
            }
            match segment.logits {
                Wanted::None => {}
                Wanted::Last => wanted.push((row + count - 1, index, count - 1)),
                Wanted::All => wanted.extend((0..count).map(|token| (row + token, index, token))),
            }
            spans.push(Span { state: segment.state, first_row: row, count, recurrent_from: segment.recurrent_from });
            row += count;
        }
        let result = self.layers_forward(&mut spans, scratch);
        for (meter, counted) in meters.into_iter().zip(scratch.neurons.take_meters()) {
            *meter = counted;
        }
        result?;
        for span in &mut spans {
            span.state.advance(span.count);
        }
        Ok(wanted)
    }

    /// What the last [`Self::read`] has left of every token, `[tokens, hidden]`.
    pub fn rows<'a>(&self, scratch: &'a Scratch) -> &'a [f32] {
        &scratch.residual
    }

    /// The rows of the embedding that this part has, of those of `tokens` that lie in it, in order.
    pub fn embedded(&self, tokens: &[u32]) -> Result<Vec<f32>> {
        let (hidden, own) = (self.config.hidden, &self.config.cut.embedding);
        let ids = || tokens.iter().map(|token| *token as usize).filter(|token| own.contains(token));
        let mut rows = zeroed(ids().count() * hidden, "embedded tokens")?;
        for (row, token) in rows.chunks_exact_mut(hidden).zip(ids()) {
            if let Some(embedding) = &self.embedding {
                embedding.row(token - own.start, row);
            }
        }
        Ok(rows)
    }

    /// Logits over this part's rows of the head, of `rows`, `[tokens, hidden]`, as the last layer has left them.
    pub fn part_logits(&self, rows: &[f32], scratch: &mut Scratch, mut receive: impl FnMut(usize, &mut [f32])) -> Result<()> {
        let count = rows.len() / self.config.hidden;
        scratch.set_rows(rows, count, self.config.hidden)?;
        let wanted: Vec<WantedRow> = (0..count).map(|row| (row, 0, row)).collect();
        self.logits(&wanted, scratch, &mut |_, row, logits| receive(row, logits))
    }

    /// Every token's embedding, from the rank that has its row.
    fn embed(&self, segments: &[Segment<'_>], total: usize, scratch: &mut Scratch) -> Result<()> {
        let Config { hidden, vocabulary, cut, .. } = &self.config;
        let (hidden, vocabulary) = (*hidden, *vocabulary);
        let (Some(embedding), true) = (&self.embedding, cut.embedding == (0..vocabulary)) else {
            return Err(Error::InvalidArgument("this part of the model has not all of the embedding; it reads rows".to_owned()));
        };
        let tokens = || segments.iter().flat_map(|segment| segment.tokens).map(|token| *token as usize);
        if let Some(token) = tokens().find(|token| *token >= vocabulary) {
            return Err(Error::InvalidArgument(format!("token {token} is not below the vocabulary size {vocabulary}")));
        }
        scratch.residual.resize(total * hidden, 0.0);
        let own = self.ranks.rows(vocabulary);
        for (target, token) in scratch.residual.chunks_exact_mut(hidden).zip(tokens()) {
            if own.contains(&token) {
                embedding.row(token - own.start, target);
            }
        }
        self.ranks.share_rows(&mut scratch.residual, hidden, |row| self.ranks.owner(tokens().nth(row).unwrap_or(0), vocabulary))
    }

    fn layers_forward(&self, spans: &mut [Span<'_>], scratch: &mut Scratch) -> Result<()> {
        self.set_angles(spans, scratch);
        self.set_leaving_angles(spans, scratch);
        for (index, Layer { mixing, feeding }) in self.config.cut.layers().zip(&self.layers) {
            scratch.neurons.enter(index);
            if let Some(mixing) = mixing {
                scratch.normalise(&self.config, &mixing.norm);
                scratch.neurons.fire(&mut scratch.normed, Site::AttentionIn, mixing.fan_out);
                self.mix(index, mixing, spans, scratch)?;
            }
            if let Some(Feeding { norm, feed_forward }) = feeding {
                scratch.normalise(&self.config, norm);
                let Scratch { normed, out, feed_forward: buffers, neurons, .. } = scratch;
                let stride = feed_forward.apply(normed, out, buffers, neurons, &self.ranks)?;
                add_rows(&mut scratch.residual, self.config.hidden, &scratch.out, stride);
            }
        }
        Ok(())
    }

    /// Rotary angles of every row, once for all layers: `[rows, 2, pairs]`.
    fn set_angles(&self, spans: &[Span<'_>], scratch: &mut Scratch) {
        let width = 2 * self.rope.pairs();
        scratch.angles.resize(scratch.residual.len() / self.config.hidden * width, 0.0);
        if width == 0 {
            return;
        }
        for span in spans {
            for token in 0..span.count {
                let at = (span.first_row + token) * width;
                self.rope.angles(span.state.position() + token, &mut scratch.angles[at..at + width]);
            }
        }
    }

    /// Final norm and head for the wanted rows, a few at a time; none where the head is elsewhere.
    fn logits(&self, wanted: &[WantedRow], scratch: &mut Scratch, receive: &mut impl FnMut(usize, usize, &mut [f32])) -> Result<()> {
        let (hidden, width) = (self.config.hidden, self.config.cut.head.len());
        let (Some(head), Some(output_norm)) = (self.head.as_ref().or(self.embedding.as_ref()), &self.output_norm) else {
            return Ok(());
        };
        let stride = head.rows().next_multiple_of(PANEL_ROWS);
        for group in wanted.chunks(LOGIT_ROWS) {
            let target = scratch.normed.fill(group.len(), hidden);
            for (target, (row, ..)) in target.chunks_exact_mut(hidden).zip(group) {
                rms_norm(&scratch.residual[row * hidden..(row + 1) * hidden], output_norm, self.config.epsilon, target);
            }
            scratch.normed.prepare(head.kind());
            scratch.logits.resize(group.len() * stride, 0.0);
            product::<Active>(head, 0..head.rows(), &scratch.normed, &mut scratch.logits, stride);
            let stride = self.ranks.join_logits(&mut scratch.logits, group.len(), width)?;
            for (index, (_, segment, token)) in group.iter().enumerate() {
                let logits = if self.ranks.leads() { &mut scratch.logits[index * stride..][..width] } else { &mut [] };
                receive(*segment, *token, logits);
            }
        }
        Ok(())
    }
}

/// Bytes of the largest exchange between ranks of a model of this config.
pub fn exchanged_bytes(config: &Config) -> usize {
    bytes_of::<f32>(exchanged_floats(config, MAX_PASS_TOKENS.max(config.learned_sinks), LOGIT_ROWS))
}

fn add_rows(residual: &mut [f32], hidden: usize, rows: &[f32], stride: usize) {
    for (residual, row) in residual.chunks_exact_mut(hidden).zip(rows.chunks_exact(stride)) {
        add_scaled(residual, 1.0, &row[..hidden]);
    }
}
