//! SwiGLU, dense or routed (`gpu-backend/docs/model.md#34-swiglu` and `gpu-backend/docs/model.md#35-mixture-of-experts`).

use super::projection::Tensors;
use crate::config::{Config, Experts, FeedForward as Form};
use crate::error::Result;
use crate::kernel::{Activations, Active, Kernel, product};
use crate::math::{add_scaled, sigmoid};
use crate::memory::Allowance;
use crate::model::exchange::Ranks;
use crate::spike::{Neurons, Site};
use crate::weights::Matrix;
use crate::weights::matrix::PANEL_ROWS;
use smallvec::SmallVec;

/// `down(silu(gate x) * up x)`; for routed experts the matrices of all of them, stacked.
#[derive(Debug)]
struct SwiGlu {
    gate: Matrix,
    up: Matrix,
    down: Matrix,
}

/// Experts whose order takes no allocation.
const FEW_EXPERTS: usize = 64;
/// Tokens that go through a feed-forward together where an engine holds a part of a model alone: its buffers are as wide as the feed-forward, and
/// its memory is full of weights.
const PART_TOKENS: usize = 8;

/// Tokens of a pass of `rows` that go through a feed-forward together.
fn together(config: &Config, rows: usize) -> usize {
    if config.is_whole() { rows } else { rows.min(PART_TOKENS) }
}

/// A layer's feed-forward weights.
#[derive(Debug)]
pub struct FeedForward {
    hidden: usize,
    /// Most tokens at a time.
    together: usize,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Dense { inner: usize, weights: SwiGlu },
    Routed(Box<Routed>),
}

/// Experts' weights are stacked; a router tells which of them a token goes through.
#[derive(Debug)]
struct Routed {
    experts: Experts,
    router: Matrix,
    weights: SwiGlu,
    shared: Option<SwiGlu>,
}

/// Buffers that live as long as the engine.
#[derive(Debug, Default)]
pub struct Scratch {
    gate: Vec<f32>,
    up: Vec<f32>,
    inner: Activations,
    gathered: Activations,
    expert_out: Vec<f32>,
    router: Vec<f32>,
    routes: Vec<(usize, usize, f32)>,
}

impl Scratch {
    /// Takes the memory of `rows` tokens through the widest layer.
    pub fn reserve(&mut self, rows: usize, config: &Config, allowance: &mut Allowance) -> Result<()> {
        for layer in config.feeding_layers() {
            let dense = matches!(layer.feed_forward, Form::Dense(_));
            let together = if dense { together(config, rows) } else { rows };
            let padded = |n: usize| together.saturating_mul(n.next_multiple_of(PANEL_ROWS));
            let inner = match layer.feed_forward {
                Form::Dense(inner) => {
                    if together < rows {
                        self.gathered.reserve(together, config.hidden, allowance)?;
                        allowance.reserve(&mut self.expert_out, padded(config.hidden))?;
                    }
                    inner
                }
                Form::Experts(experts) => {
                    self.gathered.reserve(rows, config.hidden, allowance)?;
                    allowance.reserve(&mut self.expert_out, padded(config.hidden))?;
                    allowance.reserve(&mut self.router, padded(experts.count))?;
                    allowance.reserve(&mut self.routes, rows * experts.used)?;
                    experts.inner.max(experts.shared_inner)
                }
            };
            allowance.reserve(&mut self.gate, padded(inner))?;
            allowance.reserve(&mut self.up, padded(inner))?;
            self.inner.reserve(together, inner, allowance)?;
        }
        Ok(())
    }
}

impl SwiGlu {
    fn take(tensors: &mut Tensors<'_>, layer: usize, suffix: &str) -> Result<Self> {
        let mut one = |name: &str| tensors.matrix(&format!("blk.{layer}.ffn_{name}{suffix}.weight"));
        Ok(Self { gate: one("gate")?, up: one("up")?, down: one("down")? })
    }

    /// Expert `index` of width `inner`, on an input that has fired; `row_of` tells which row of the pass a row of `x` is. `out` becomes
    /// `[tokens, stride]`, this rank's part of the output, and the stride is returned.
    #[allow(clippy::too_many_arguments)]
    fn apply(
        &self,
        index: usize,
        (inner, hidden): (usize, usize),
        x: &mut Activations,
        gate: &mut Vec<f32>,
        up: &mut Vec<f32>,
        between: &mut Activations,
        out: &mut Vec<f32>,
        neurons: &mut Neurons,
        ranks: &Ranks,
        row_of: impl Fn(usize) -> usize,
    ) -> Result<usize> {
        let (own_inner, own_hidden) = (ranks.rows(inner).len(), ranks.rows(hidden).len());
        let stride = own_inner.next_multiple_of(PANEL_ROWS);
        let rows = index * own_inner..(index + 1) * own_inner;
        gate.resize(x.tokens() * stride, 0.0);
        up.resize(x.tokens() * stride, 0.0);
        x.prepare(self.gate.kind());
        product::<Active>(&self.gate, rows.clone(), x, gate, stride);
        x.prepare(self.up.kind());
        product::<Active>(&self.up, rows, x, up, stride);
        let target = between.fill(x.tokens(), own_inner);
        let (width, padded) = (own_inner.max(1), stride.max(1));
        for ((target, gate), up) in target.chunks_exact_mut(width).zip(gate.chunks_exact(padded)).zip(up.chunks_exact(padded)) {
            Active::gated(gate, up, target);
        }
        let columns_of = |rank| ranks.rank().rows_of(rank, inner);
        if !neurons.fires(Site::FeedForwardDown) && ranks.joins_codes(self.down.kind(), columns_of) {
            ranks.join_codes(between, inner, columns_of)?;
        } else {
            between.widen(inner, |values| ranks.join_rows(values, x.tokens(), inner))?;
            neurons.fire_rows(between, Site::FeedForwardDown, row_of, |_| hidden);
        }
        between.prepare(self.down.kind());
        let stride = own_hidden.next_multiple_of(PANEL_ROWS);
        out.resize(x.tokens() * stride, 0.0);
        product::<Active>(&self.down, index * own_hidden..(index + 1) * own_hidden, between, out, stride);
        Ok(stride)
    }
}

impl FeedForward {
    /// From `blk.{layer}.ffn_*`.
    pub fn take(tensors: &mut Tensors<'_>, layer: usize, config: &Config) -> Result<Self> {
        let kind = match config.layers[layer].feed_forward {
            Form::Dense(inner) => Kind::Dense { inner, weights: SwiGlu::take(tensors, layer, "")? },
            Form::Experts(experts) => Kind::Routed(Box::new(Routed {
                experts,
                router: tensors.matrix(&format!("blk.{layer}.ffn_gate_inp.weight"))?,
                weights: SwiGlu::take(tensors, layer, "_exps")?,
                shared: if experts.shared_inner > 0 { Some(SwiGlu::take(tensors, layer, "_shexp")?) } else { None },
            })),
        };
        Ok(Self { hidden: config.hidden, together: together(config, usize::MAX), kind })
    }

    /// `x` is `[tokens, hidden]`; `out` becomes `[tokens, stride]`, all ranks' parts of it, and the stride is returned.
    pub fn apply(
        &self,
        x: &mut Activations,
        out: &mut Vec<f32>,
        scratch: &mut Scratch,
        neurons: &mut Neurons,
        ranks: &Ranks,
    ) -> Result<usize> {
        match &self.kind {
            Kind::Dense { inner, weights } => {
                neurons.fire(x, Site::FeedForwardIn, 2 * inner);
                let Scratch { gate, up, inner: between, gathered, expert_out, .. } = scratch;
                let (tokens, shape) = (x.tokens(), (*inner, self.hidden));
                if tokens <= self.together {
                    weights.apply(0, shape, x, gate, up, between, out, neurons, ranks, |row| row)?;
                } else {
                    let stride = ranks.rows(self.hidden).len().next_multiple_of(PANEL_ROWS);
                    out.resize(tokens * stride, 0.0);
                    for first in (0..tokens).step_by(self.together) {
                        let end = tokens.min(first + self.together);
                        gathered.gather(x, first..end);
                        weights.apply(0, shape, gathered, gate, up, between, expert_out, neurons, ranks, |row| first + row)?;
                        out[first * stride..end * stride].copy_from_slice(expert_out);
                    }
                }
            }
            Kind::Routed(routed) => routed.apply(self.hidden, x, out, scratch, neurons, ranks)?,
        }
        ranks.join_product(out, x.tokens(), self.hidden)
    }
}

impl Routed {
    fn apply(
        &self,
        hidden: usize,
        x: &mut Activations,
        out: &mut Vec<f32>,
        scratch: &mut Scratch,
        neurons: &mut Neurons,
        ranks: &Ranks,
    ) -> Result<()> {
        let Self { experts, router, weights, shared } = self;
        neurons.fire(x, Site::FeedForwardIn, experts.count + 2 * (experts.used * experts.inner + experts.shared_inner));
        let own_hidden = ranks.rows(hidden).len();
        let stride = own_hidden.next_multiple_of(PANEL_ROWS);
        route(experts, router, x, scratch);
        let Scratch { gate, up, inner: between, gathered, expert_out, routes, .. } = scratch;
        match shared {
            Some(shared) => {
                shared.apply(0, (experts.shared_inner, hidden), x, gate, up, between, out, neurons, ranks, |row| row)?;
            }
            None => {
                out.clear();
                out.resize(x.tokens() * stride, 0.0);
            }
        }
        // Tokens of one expert are computed together; each token adds its experts in the order of their numbers.
        for group in routes.chunk_by(|a, b| a.0 == b.0) {
            gathered.gather(x, group.iter().map(|(_, token, _)| *token));
            weights
                .apply(group[0].0, (experts.inner, hidden), gathered, gate, up, between, expert_out, neurons, ranks, |row| group[row].1)?;
            for (result, (_, token, weight)) in expert_out.chunks_exact(stride.max(1)).zip(group) {
                add_scaled(&mut out[token * stride..token * stride + own_hidden], *weight, result);
            }
        }
        Ok(())
    }
}

/// Fills `routes` with (expert, token, weight), sorted by expert, then token.
fn route(experts: &Experts, router: &Matrix, x: &mut Activations, scratch: &mut Scratch) {
    let stride = experts.count.next_multiple_of(PANEL_ROWS);
    scratch.router.resize(x.tokens() * stride, 0.0);
    x.prepare(router.kind());
    product::<Active>(router, 0..experts.count, x, &mut scratch.router, stride);
    scratch.routes.clear();
    for (token, scores) in scratch.router.chunks_exact_mut(stride).enumerate() {
        let scores = &mut scores[..experts.count];
        if experts.sigmoid {
            scores.iter_mut().for_each(|score| *score = sigmoid(*score));
        } else {
            let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            scores.iter_mut().for_each(|score| *score = crate::math::exp(*score - largest));
            let total: f32 = scores.iter().sum();
            scores.iter_mut().for_each(|score| *score /= total);
        }
        let mut order: SmallVec<[usize; FEW_EXPERTS]> = (0..experts.count).collect();
        order.sort_unstable_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
        order.truncate(experts.used);
        let total: f32 = if experts.normalised { order.iter().map(|expert| scores[*expert]).sum() } else { 1.0 };
        scratch.routes.extend(order.iter().map(|expert| (*expert, token, scores[*expert] / total)));
    }
    scratch.routes.sort_unstable_by_key(|(expert, token, _)| (*expert, *token));
}
