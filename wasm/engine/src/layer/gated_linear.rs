//! Gated linear attention (`gpu-backend/docs/model.md#4-gated-linear-attention`), one state per KV head.
//!
//! Two forms of one function: [`recurrent`], token by token, and [`chunked`], 32 tokens at once. In both, exponents are differences of
//! cumulative log-gates that are never positive, so nothing overflows however closed the gates are.

use crate::config::{FeatureMap, Gate, Linear};
use crate::error::Result;
use crate::kernel::{Active, Kernel};
use crate::math::{add_scaled, dot, log_sigmoid, sigmoid};
use crate::memory::Allowance;

/// Tokens of a chunk.
pub const CHUNK_TOKENS: usize = 32;
/// Within a subchunk, gates are applied pair by pair; between subchunks, relative to the later subchunk's start.
const SUBCHUNK_TOKENS: usize = 8;

/// Sizes of a linear branch.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Query heads.
    pub heads: usize,
    /// KV heads, each with a `[head_dim, head_dim]` state.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
}

impl Shape {
    fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    fn width(&self) -> usize {
        self.heads * self.head_dim
    }

    fn kv_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    fn scale(&self) -> f32 {
        #[allow(clippy::cast_precision_loss)]
        {
            1.0 / (self.head_dim as f32).sqrt()
        }
    }
}

/// What a branch reads, token by token: queries `[tokens, heads, dim]`; keys, values and log-gates `[tokens, KV heads, dim]`.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// After the feature map.
    pub queries: &'a [f32],
    /// After the feature map.
    pub keys: &'a [f32],
    /// As projected.
    pub values: &'a [f32],
    /// Natural log of the decay, at most 0.
    pub log_gates: &'a [f32],
}

/// Applies the feature map to queries and keys, and fills `log_gates`, which holds `z` where the gate is learned.
pub fn prepare(linear: Linear, queries: &mut [f32], keys: &mut [f32], log_gates: &mut [f32]) {
    match linear.gate {
        Gate::Learned { normalizer } => {
            for gate in log_gates.iter_mut() {
                *gate = log_sigmoid(*gate) / normalizer;
            }
        }
        Gate::OneMinusKey => {
            for (gate, key) in log_gates.iter_mut().zip(keys.iter()) {
                // ln(1 - sigmoid(x)) without the cancellation; the config has no other map with this gate.
                *gate = log_sigmoid(-key);
            }
        }
    }
    for x in queries.iter_mut().chain(keys) {
        *x = match linear.feature_map {
            // Not `max`, whose result for a zero's sign is the host's choice.
            FeatureMap::Relu => {
                if *x > 0.0 {
                    *x
                } else {
                    0.0
                }
            }
            FeatureMap::Sigmoid => sigmoid(*x),
        };
    }
}

/// `S = diag(a) S + k v^T`, then `o = scale q S`. `state` is `[KV heads, key dim, value dim]`, `out` as the queries.
pub fn recurrent(shape: Shape, state: &mut [f32], x: Inputs<'_>, out: &mut [f32], scratch: &mut Scratch) {
    let dim = shape.head_dim;
    let decays = &mut scratch.decays;
    let tokens = x.queries.chunks_exact(shape.width()).zip(out.chunks_exact_mut(shape.width()));
    for (token, (queries, out)) in tokens.enumerate() {
        out.fill(0.0);
        for kv_head in 0..shape.kv_heads {
            let at = token * shape.kv_width() + kv_head * dim;
            let (keys, values, gates) = (&x.keys[at..at + dim], &x.values[at..at + dim], &x.log_gates[at..at + dim]);
            let state = &mut state[kv_head * dim * dim..(kv_head + 1) * dim * dim];
            let first_head = kv_head * shape.group();
            decays.clear();
            decays.extend_from_slice(gates);
            Active::exp(decays);
            for (i, row) in state.chunks_exact_mut(dim).enumerate() {
                let decay = decays[i];
                for (s, v) in row.iter_mut().zip(values) {
                    *s = decay * *s + keys[i] * v;
                }
                for head in first_head..first_head + shape.group() {
                    add_scaled(&mut out[head * dim..(head + 1) * dim], queries[head * dim + i] * shape.scale(), row);
                }
            }
        }
    }
}

/// Buffers that live as long as the engine.
#[derive(Debug, Default)]
pub struct Scratch {
    /// `G`, `[tokens, dim]`
    cumulative: Vec<f32>,
    /// Exponentials of `G`, or of differences within it.
    decays: Vec<f32>,
    /// Keys times such ones, `[tokens, dim]`.
    keys: Vec<f32>,
    query: Vec<f32>,
    scores: Vec<f32>,
}

impl Scratch {
    /// Takes the memory of a chunk.
    pub fn reserve(&mut self, head_dim: usize, allowance: &mut Allowance) -> Result<()> {
        allowance.reserve(&mut self.cumulative, CHUNK_TOKENS * head_dim)?;
        allowance.reserve(&mut self.decays, CHUNK_TOKENS * head_dim)?;
        allowance.reserve(&mut self.keys, CHUNK_TOKENS * head_dim)?;
        allowance.reserve(&mut self.query, head_dim)?;
        allowance.reserve(&mut self.scores, CHUNK_TOKENS)
    }
}

/// As [`recurrent`] for at most [`CHUNK_TOKENS`] tokens, by products of blocks (`gpu-backend/docs/model.md#45-chunked-form`).
pub fn chunked(shape: Shape, state: &mut [f32], x: Inputs<'_>, out: &mut [f32], scratch: &mut Scratch) {
    let tokens = x.queries.len() / shape.width();
    out.fill(0.0);
    for kv_head in 0..shape.kv_heads {
        let chunk = Chunk { shape, kv_head, tokens, x };
        chunk.accumulate_gates(&mut scratch.cumulative);
        let state = &mut state[kv_head * shape.head_dim * shape.head_dim..(kv_head + 1) * shape.head_dim * shape.head_dim];
        scratch.decays.clone_from(&scratch.cumulative);
        Active::exp(&mut scratch.decays);
        for head in kv_head * shape.group()..(kv_head + 1) * shape.group() {
            chunk.read_past(head, state, out, scratch);
        }
        chunk.read_present(out, scratch);
        chunk.update(state, scratch);
    }
}

struct Chunk<'a> {
    shape: Shape,
    kv_head: usize,
    tokens: usize,
    x: Inputs<'a>,
}

impl Chunk<'_> {
    fn at(&self, token: usize) -> core::ops::Range<usize> {
        let start = token * self.shape.kv_width() + self.kv_head * self.shape.head_dim;
        start..start + self.shape.head_dim
    }

    fn query(&self, token: usize, head: usize) -> &[f32] {
        let start = token * self.shape.width() + head * self.shape.head_dim;
        &self.x.queries[start..start + self.shape.head_dim]
    }

    fn output<'o>(&self, out: &'o mut [f32], token: usize, head: usize) -> &'o mut [f32] {
        let start = token * self.shape.width() + head * self.shape.head_dim;
        &mut out[start..start + self.shape.head_dim]
    }

    /// `G_t`, `[tokens, dim]`: sums of log-gates from the chunk's start through token `t`.
    fn accumulate_gates(&self, cumulative: &mut Vec<f32>) {
        let dim = self.shape.head_dim;
        cumulative.clear();
        cumulative.resize(self.tokens * dim, 0.0);
        for token in 0..self.tokens {
            let (before, now) = cumulative.split_at_mut(token * dim);
            let gates = &self.x.log_gates[self.at(token)];
            match before.len().checked_sub(dim) {
                None => now[..dim].copy_from_slice(gates),
                Some(start) => {
                    for ((now, before), gate) in now.iter_mut().zip(&before[start..]).zip(gates) {
                        *now = before + gate;
                    }
                }
            }
        }
    }

    /// `o_t += scale (q_t * exp(G_t)) S_in`, of these exponentials.
    fn read_past(&self, head: usize, state: &[f32], out: &mut [f32], scratch: &mut Scratch) {
        let dim = self.shape.head_dim;
        scratch.query.resize(dim, 0.0);
        for token in 0..self.tokens {
            let decays = &scratch.decays[token * dim..(token + 1) * dim];
            for ((scaled, q), decay) in scratch.query.iter_mut().zip(self.query(token, head)).zip(decays) {
                *scaled = q * self.shape.scale() * decay;
            }
            let out = self.output(out, token, head);
            for (row, q) in state.chunks_exact(dim).zip(&scratch.query) {
                add_scaled(out, *q, row);
            }
        }
    }

    /// `o_t += scale sum over s <= t of (sum over i of q_ti k_si exp(G_ti - G_si)) v_s`
    fn read_present(&self, out: &mut [f32], scratch: &mut Scratch) {
        let dim = self.shape.head_dim;
        scratch.keys.resize(self.tokens * dim, 0.0);
        scratch.query.resize(dim, 0.0);
        scratch.scores.resize(self.tokens, 0.0);
        for subchunk in (0..self.tokens).step_by(SUBCHUNK_TOKENS) {
            let end = (subchunk + SUBCHUNK_TOKENS).min(self.tokens);
            // Earlier keys, decayed to the last token before this subchunk.
            for s in 0..subchunk {
                self.decay_key(s, subchunk - 1, scratch);
            }
            for token in subchunk..end {
                // This subchunk's keys, decayed to this very token.
                for s in subchunk..=token {
                    self.decay_key(s, token, scratch);
                }
                if subchunk > 0 {
                    let Scratch { decays, cumulative, .. } = scratch;
                    differences(&cumulative[token * dim..][..dim], &cumulative[(subchunk - 1) * dim..][..dim], decays);
                    Active::exp(decays);
                }
                for head in self.kv_head * self.shape.group()..(self.kv_head + 1) * self.shape.group() {
                    self.read_token(token, head, subchunk, out, scratch);
                }
            }
        }
    }

    /// `k_s * exp(G_t - G_s)`
    fn decay_key(&self, s: usize, token: usize, scratch: &mut Scratch) {
        let dim = self.shape.head_dim;
        let Scratch { decays, cumulative, keys, .. } = scratch;
        differences(&cumulative[token * dim..][..dim], &cumulative[s * dim..][..dim], decays);
        Active::exp(decays);
        for ((decayed, key), decay) in keys[s * dim..(s + 1) * dim].iter_mut().zip(&self.x.keys[self.at(s)]).zip(decays) {
            *decayed = key * *decay;
        }
    }

    /// Keys before the subchunk meet the query times the exponentials that are there.
    fn read_token(&self, token: usize, head: usize, subchunk: usize, out: &mut [f32], scratch: &mut Scratch) {
        let dim = self.shape.head_dim;
        let query = self.query(token, head);
        if subchunk > 0 {
            for ((scaled, q), decay) in scratch.query.iter_mut().zip(query).zip(&scratch.decays) {
                *scaled = q * decay;
            }
        }
        for s in 0..=token {
            let keys = &scratch.keys[s * dim..(s + 1) * dim];
            scratch.scores[s] = dot(if s < subchunk { &scratch.query } else { query }, keys) * self.shape.scale();
        }
        let out = self.output(out, token, head);
        for s in 0..=token {
            add_scaled(out, scratch.scores[s], &self.x.values[self.at(s)]);
        }
    }

    /// `S_out = diag(exp(G_C)) S_in + sum over s of (k_s * exp(G_C - G_s)) v_s^T`
    fn update(&self, state: &mut [f32], scratch: &mut Scratch) {
        let dim = self.shape.head_dim;
        let last = self.tokens - 1;
        for s in 0..self.tokens {
            self.decay_key(s, last, scratch);
        }
        let Scratch { decays, cumulative, keys, .. } = scratch;
        decays.clear();
        decays.extend_from_slice(&cumulative[last * dim..]);
        Active::exp(decays);
        for (i, (row, decay)) in state.chunks_exact_mut(dim).zip(decays).enumerate() {
            for s in row.iter_mut() {
                *s *= *decay;
            }
            for s in 0..self.tokens {
                add_scaled(row, keys[s * dim + i], &self.x.values[self.at(s)]);
            }
        }
    }
}

/// `a - b`
fn differences(a: &[f32], b: &[f32], out: &mut Vec<f32>) {
    out.clear();
    out.extend(a.iter().zip(b).map(|(a, b)| a - b));
}
