//! A layer's mixer in a pass: its branches, and how their outputs are joined.

use super::layer::Mixing;
use super::span::{self, Span};
use super::{MAX_PASS_TOKENS, Model, Scratch, add_rows};
use crate::config::Mixer;
use crate::error::Result;
use crate::layer::attention::{Queries, attend};
use crate::layer::gated_linear::{self, Inputs, Shape};
use crate::layer::projection::{AttentionProjections, compact};
use crate::layer::rms_norm::rms_norm_in_place;
use crate::layer::rope::rotate_rows;
use crate::layer::sight::Sight;
use crate::math::add_scaled;
use crate::spike::Site;
use crate::state::window_start;
use smallvec::SmallVec;

impl Model {
    /// Adds the mixer's output to the residual.
    pub(super) fn mix(&self, index: usize, layer: &Mixing, spans: &mut [Span<'_>], scratch: &mut Scratch) -> Result<()> {
        let Mixer { linear, softmax, evicted: _, separate_projections } = layer.config.mixer;
        let (hidden, width) = (self.config.hidden, self.config.heads * self.config.head_dim);
        let separate = layer.config.mixer.is_parallel() && separate_projections;
        let rows = scratch.residual.len() / hidden;
        if let Some(projections) = layer.projections.first() {
            self.project(projections, scratch);
        }
        scratch.heads.fill(rows, width).fill(0.0);
        let has_heads = self.part.kv_heads > 0;
        scratch.branch.clear();
        if linear.is_some() {
            if has_heads {
                self.linear_branch(index, layer, spans, scratch);
            }
            self.add_branch(layer.branch_norms.as_ref().map(|norms| &norms.0), separate, layer.projections.first(), scratch)?;
        }
        if softmax.is_some() {
            if separate && let Some(projections) = layer.projections.get(1) {
                self.project(projections, scratch);
            }
            match &layer.evicted {
                _ if !has_heads => scratch.branch.clear(),
                Some(weights) => self.evicted_branch(index, weights, spans, scratch)?,
                None => self.softmax_branch(index, layer, spans, scratch)?,
            }
            let projections = layer.projections.get(usize::from(separate));
            self.add_branch(layer.branch_norms.as_ref().map(|norms| &norms.1), separate, projections, scratch)?;
        }
        if !separate && let Some(projections) = layer.projections.first() {
            scratch.neurons.fire(&mut scratch.heads, Site::AttentionOut, hidden);
            projections.output.apply(&mut scratch.heads, &mut scratch.out);
            let stride = self.ranks.join_product(&mut scratch.out, rows, hidden)?;
            add_rows(&mut scratch.residual, hidden, &scratch.out, stride);
        }
        Ok(())
    }

    fn project(&self, projections: &AttentionProjections, scratch: &mut Scratch) {
        projections.query.apply(&mut scratch.normed, &mut scratch.query);
        projections.key.apply(&mut scratch.normed, &mut scratch.key);
        projections.value.apply(&mut scratch.normed, &mut scratch.value);
        let rows = scratch.normed.tokens();
        compact(&mut scratch.query, rows, self.part.heads * self.part.head_dim);
        compact(&mut scratch.key, rows, self.part.kv_heads * self.part.head_dim);
        compact(&mut scratch.value, rows, self.part.kv_heads * self.part.head_dim);
    }

    /// Takes a branch's output from `scratch.branch` to the heads' sum, or through its own output projection to the residual.
    fn add_branch(
        &self,
        norm: Option<&Vec<f32>>,
        separate: bool,
        projections: Option<&AttentionProjections>,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let (hidden, width) = (self.config.hidden, self.config.heads * self.config.head_dim);
        let rows = scratch.residual.len() / hidden;
        let columns_of = |rank| self.ranks.rank().heads_of(rank, self.config.kv_heads, width);
        // Branches that are summed have norms.
        let alone = norm.is_none() && !scratch.neurons.fires(Site::AttentionOut);
        if let (true, Some(projections)) = (alone, projections)
            && self.ranks.joins_codes(projections.output.kind(), columns_of)
        {
            scratch.heads.fill(rows, self.part.heads * self.part.head_dim).copy_from_slice(&scratch.branch);
            return self.ranks.join_codes(&mut scratch.heads, width, columns_of);
        }
        self.ranks.join_heads(&mut scratch.branch, rows, self.config.kv_heads, width)?;
        if separate && let Some(projections) = projections {
            scratch.heads.fill(rows, width).copy_from_slice(&scratch.branch);
            scratch.neurons.fire(&mut scratch.heads, Site::AttentionOut, hidden);
            projections.output.apply(&mut scratch.heads, &mut scratch.out);
            if self.ranks.join_product(&mut scratch.out, rows, hidden)? != hidden {
                compact(&mut scratch.out, rows, hidden);
            }
            if let Some(norm) = norm {
                rms_norm_in_place(&mut scratch.out, norm, self.config.epsilon);
            }
            add_rows(&mut scratch.residual, hidden, &scratch.out, hidden);
            return Ok(());
        }
        if let Some(norm) = norm {
            rms_norm_in_place(&mut scratch.branch, norm, self.config.epsilon);
        }
        let Scratch { heads, branch, .. } = scratch;
        add_scaled(heads.values_mut(), 1.0, branch);
        Ok(())
    }

    fn linear_branch(&self, index: usize, layer: &Mixing, spans: &mut [Span<'_>], scratch: &mut Scratch) {
        let Some(linear) = layer.config.mixer.linear else {
            return;
        };
        let shape = Shape { heads: self.part.heads, kv_heads: self.part.kv_heads, head_dim: self.part.head_dim };
        let (width, kv_width) = (shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim);
        let rows = scratch.normed.tokens();
        if let Some(gate) = &layer.gate {
            gate.apply(scratch, rows, kv_width);
        } else {
            scratch.gate.resize(rows * kv_width, 0.0);
        }
        // A parallel softmax branch may still need the queries and keys as projected.
        scratch.mapped_query.clone_from(&scratch.query);
        scratch.mapped_key.clone_from(&scratch.key);
        gated_linear::prepare(linear, &mut scratch.mapped_query, &mut scratch.mapped_key, &mut scratch.gate);
        scratch.branch.resize(rows * width, 0.0);
        for span in spans {
            let text = span.state.position() - self.config.learned_sinks.min(span.state.position());
            let state = &mut span.state.layer_mut(index).linear;
            for (from, to, whole_chunk) in span::cuts(text, span.count, span.recurrent_from) {
                let (first, last) = (span.first_row + from, span.first_row + to);
                let x = Inputs {
                    queries: &scratch.mapped_query[first * width..last * width],
                    keys: &scratch.mapped_key[first * kv_width..last * kv_width],
                    values: &scratch.value[first * kv_width..last * kv_width],
                    log_gates: &scratch.gate[first * kv_width..last * kv_width],
                };
                let out = &mut scratch.branch[first * width..last * width];
                if whole_chunk {
                    gated_linear::chunked(shape, state, x, out, &mut scratch.linear);
                } else {
                    gated_linear::recurrent(shape, state, x, out, &mut scratch.linear);
                }
            }
        }
        if let Some(norm) = &layer.head_norm {
            rms_norm_in_place(&mut scratch.branch, norm, self.config.epsilon);
        }
    }

    fn softmax_branch(&self, index: usize, layer: &Mixing, spans: &mut [Span<'_>], scratch: &mut Scratch) -> Result<()> {
        let Some(softmax) = layer.config.mixer.softmax else {
            return Ok(());
        };
        let (heads, dim) = (self.part.heads, self.part.head_dim);
        let (width, kv_width) = (heads * dim, self.part.kv_heads * dim);
        let rows = scratch.normed.tokens();
        rotate_rows(&mut scratch.query, dim, &scratch.angles, rows);
        rotate_rows(&mut scratch.key, dim, &scratch.angles, rows);
        scratch.branch.resize(rows * width, 0.0);
        let sight = Sight::new(&self.config, softmax);
        let fires = scratch.neurons.fires(Site::Query);
        if fires {
            let mut positions: SmallVec<[usize; MAX_PASS_TOKENS]> = SmallVec::with_capacity(rows);
            for span in spans.iter() {
                positions.extend(span.state.position()..span.state.position() + span.count);
            }
            let Scratch { neurons, fired_query, query, .. } = scratch;
            fired_query.fill(rows * heads, dim).copy_from_slice(query);
            neurons.fire_rows(fired_query, Site::Query, |row| row / heads, |row| sight.keys_seen(positions[row / heads]));
        }
        for span in spans {
            let position = span.state.position();
            let Some(key_values) = &mut span.state.layer_mut(index).key_values else {
                continue;
            };
            for token in 0..span.count {
                let at = (span.first_row + token) * kv_width;
                let (key, value) = (&scratch.key[at..at + kv_width], &scratch.value[at..at + kv_width]);
                key_values.append(position + token, sight.keep, key, value)?;
            }
            let range = span.first_row * width..(span.first_row + span.count) * width;
            let queries = if fires {
                Queries::Spikes { spikes: &scratch.fired_query, first_row: span.first_row * heads }
            } else {
                Queries::Values(&scratch.query[range.clone()])
            };
            let out = &mut scratch.branch[range];
            attend(key_values, sight, heads, position, queries, None, out, &mut scratch.attention);
            key_values.drop_before(window_start(softmax, position + span.count));
        }
        Ok(())
    }
}
