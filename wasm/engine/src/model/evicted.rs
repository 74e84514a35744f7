//! The `evicted` mixer in a pass (`gpu-backend/docs/evicted-tokens.md`).

use super::{MAX_PASS_TOKENS, Model, Scratch, Span};
use crate::config::{Config, Softmax};
use crate::error::Result;
use crate::layer::attention::{Queries, Recall, attend};
use crate::layer::evicted::{EvictedWeights, Gates, Remembered, join_and_correct, ramp, read_and_take};
use crate::layer::rope::{Rope, rotate, rotate_rows};
use crate::layer::sight::Sight;
use crate::math::dot;
use crate::spike::Site;
use crate::state::{EvictedState, KeyValues, LayerState, PAGE_TOKENS, evicted_before, window_start};
use crate::weights::matrix::PANEL_ROWS;
use smallvec::SmallVec;

/// What the `evicted` layers of a model have in common: the window, and the angles of queries at positions that are not their own.
#[derive(Debug)]
pub(super) struct EvictedAngles {
    width: usize,
    sink_cap: usize,
    /// At the cap, `[2, pairs]`.
    far: Vec<f32>,
    /// At the window's width, alike.
    apart: Vec<f32>,
}

impl EvictedAngles {
    pub fn new(config: &Config, rope: &Rope) -> Option<Self> {
        let (evicted, width) = config.layers.iter().find_map(|layer| match (layer.mixer.evicted, layer.mixer.softmax) {
            (Some(evicted), Some(Softmax::Window(width))) => Some((evicted, width)),
            _ => None,
        })?;
        let at = |position: usize| {
            let mut angles = vec![0.0; 2 * rope.pairs()];
            rope.angles(position, &mut angles);
            angles
        };
        Some(Self { width, sink_cap: evicted.sink_cap, far: at(evicted.sink_cap), apart: at(width) })
    }

    /// The token that leaves after the query at `position`; none where that is kept or before the text.
    fn leaving(&self, keep: usize, position: usize) -> Option<usize> {
        (position + 1).checked_sub(self.width).filter(|leaving| *leaving >= keep)
    }
}

impl Model {
    /// Angles that undo the rotation of the token that leaves after each row, once for all layers.
    pub(super) fn set_leaving_angles(&self, spans: &[Span<'_>], scratch: &mut Scratch) {
        let Some(angles) = &self.evicted_angles else {
            return;
        };
        let pairs = self.rope.pairs();
        let target = &mut scratch.evicted.leaving_angles;
        target.resize(scratch.residual.len() / self.config.hidden * 2 * pairs, 0.0);
        for span in spans {
            for token in 0..span.count {
                let Some(leaving) = angles.leaving(self.config.kept(), span.state.position() + token) else {
                    continue;
                };
                let row = &mut target[(span.first_row + token) * 2 * pairs..][..2 * pairs];
                self.rope.angles(leaving, row);
                row[pairs..].iter_mut().for_each(|sine| *sine = -*sine);
            }
        }
    }

    /// From queries, keys and values to heads, in `scratch.branch`.
    pub(super) fn evicted_branch(
        &self,
        index: usize,
        weights: &EvictedWeights,
        spans: &mut [Span<'_>],
        scratch: &mut Scratch,
    ) -> Result<()> {
        let Some(angles) = &self.evicted_angles else {
            return Ok(());
        };
        let config = &self.part;
        let (heads, kv_heads, dim) = (config.heads, config.kv_heads, config.head_dim);
        let (width, kv_width) = (heads * dim, kv_heads * dim);
        let rows = scratch.normed.tokens();
        scratch.mapped_query.clone_from(&scratch.query);
        self.rotate_queries(angles, spans, scratch);
        rotate_rows(&mut scratch.query, dim, &scratch.angles, rows);
        rotate_rows(&mut scratch.key, dim, &scratch.angles, rows);
        let sight = Sight::new(config, Softmax::Window(angles.width));
        let fires = self.fire_queries(angles, sight, spans, scratch);
        scratch.branch.resize(rows * width, 0.0);
        let buffers = &mut scratch.evicted;
        buffers.leaving_keys.resize(rows * kv_width, 0.0);
        buffers.salience.resize(rows * kv_heads, 0.0);
        buffers.log_normalisers.resize(rows * heads, 0.0);
        let mixes = spans.iter().any(|span| evicted_before(config, angles.width, span.state.position() + span.count - 1) > 0);
        if mixes {
            weights.mix.apply(&mut scratch.normed, &mut buffers.mix);
            weights.correction.apply(&mut scratch.normed, &mut buffers.correction);
        }
        for span in spans {
            let (position, first_row, count) = (span.state.position(), span.first_row, span.count);
            let LayerState { key_values: Some(key_values), evicted: Some(evicted), .. } = span.state.layer_mut(index) else {
                continue;
            };
            let after = evicted_before(config, angles.width, position + count);
            evicted.make_room(after)?;
            for token in 0..count {
                let at = (first_row + token) * kv_width;
                let (key, value) = (&scratch.key[at..at + kv_width], &scratch.value[at..at + kv_width]);
                key_values.append(position + token, sight.keep, key, value)?;
            }
            self.gather_leaving(angles, weights, key_values, (position, first_row, count), scratch);
            let (range, buffers) = (first_row * width..(first_row + count) * width, &mut scratch.evicted);
            let queries = if fires {
                Queries::Spikes { spikes: &scratch.fired_query, first_row: first_row * heads }
            } else {
                Queries::Values(&scratch.query[range.clone()])
            };
            let other = |queries| match fires {
                true => Queries::Spikes { spikes: queries, first_row: first_row * heads },
                false => Queries::Values(&queries.values()[range.clone()]),
            };
            let recall = Recall {
                salient: &mut evicted.salient,
                offset: angles.width + sight.keep,
                width: angles.width,
                sink_cap: angles.sink_cap,
                far: other(&buffers.far),
                apart: other(&buffers.apart),
                leaving_keys: &buffers.leaving_keys[first_row * kv_width..(first_row + count) * kv_width],
                salience: &buffers.salience[first_row * kv_heads..(first_row + count) * kv_heads],
                log_normalisers: &mut buffers.log_normalisers[first_row * heads..(first_row + count) * heads],
            };
            let out = &mut scratch.branch[range.clone()];
            attend(key_values, sight, heads, position, queries, Some(recall), out, &mut scratch.attention);
            evicted.salient.settle(after);
            if after > 0 {
                self.remember(angles, weights, (key_values, evicted), (position, first_row, count), scratch);
            }
            key_values.drop_before(window_start(sight.softmax, position + count));
        }
        Ok(())
    }

    /// Queries at the positions at which kept and salient tokens meet them.
    fn rotate_queries(&self, angles: &EvictedAngles, spans: &[Span<'_>], scratch: &mut Scratch) {
        let (heads, dim) = (self.part.heads, self.part.head_dim);
        let (width, angle_width) = (heads * dim, 2 * self.rope.pairs());
        let rows = scratch.normed.tokens();
        let buffers = &mut scratch.evicted;
        for queries in [&mut buffers.far, &mut buffers.apart] {
            queries.fill(rows * heads, dim).copy_from_slice(&scratch.query);
        }
        if angle_width == 0 {
            return;
        }
        for row in buffers.apart.values_mut().chunks_exact_mut(width) {
            rotate(row, dim, &angles.apart);
        }
        for span in spans {
            for token in 0..span.count {
                let row = span.first_row + token;
                let own = &scratch.angles[row * angle_width..(row + 1) * angle_width];
                let met = if span.state.position() + token <= angles.sink_cap { own } else { &angles.far };
                rotate(&mut buffers.far.values_mut()[row * width..(row + 1) * width], dim, met);
            }
        }
    }

    /// Fires the queries that meet the window, the kept tokens and the salient ones, each with its own thresholds; whether they fire.
    fn fire_queries(&self, angles: &EvictedAngles, sight: Sight, spans: &[Span<'_>], scratch: &mut Scratch) -> bool {
        if !scratch.neurons.fires(Site::Query) {
            return false;
        }
        let (heads, dim, rows) = (self.part.heads, self.part.head_dim, scratch.normed.tokens());
        let mut positions: SmallVec<[usize; MAX_PASS_TOKENS]> = SmallVec::with_capacity(rows);
        for span in spans {
            positions.extend(span.state.position()..span.state.position() + span.count);
        }
        let salient = self.config.evicted().map_or(0, |evicted| evicted.salient);
        let Scratch { neurons, fired_query, query, evicted, .. } = scratch;
        fired_query.fill(rows * heads, dim).copy_from_slice(query);
        let kept = |row: usize| sight.keep.min(positions[row / heads] + 1);
        let near = |row: usize| sight.keys_seen(positions[row / heads]) - kept(row);
        neurons.fire_rows(fired_query, Site::Query, |row| row / heads, near);
        neurons.fire_rows(&mut evicted.far, Site::Query, |row| row / heads, kept);
        let held = |row: usize| salient.min(evicted_before(&self.config, angles.width, positions[row / heads]));
        neurons.fire_rows(&mut evicted.apart, Site::Query, |row| row / heads, held);
        true
    }

    /// Keys of the tokens that leave, as the window holds them, their rotation undone, and their salience. `(position, first row, count)` is
    /// the sequence's segment of the pass.
    fn gather_leaving(
        &self,
        angles: &EvictedAngles,
        weights: &EvictedWeights,
        key_values: &KeyValues,
        (position, first_row, count): (usize, usize, usize),
        scratch: &mut Scratch,
    ) {
        let (kv_heads, dim, angle_width) = (self.part.kv_heads, self.part.head_dim, 2 * self.rope.pairs());
        let buffers = &mut scratch.evicted;
        for token in 0..count {
            let Some(leaving) = angles.leaving(self.config.kept(), position + token) else {
                continue;
            };
            let Some(page) = key_values.page(leaving / PAGE_TOKENS) else {
                continue;
            };
            let row = first_row + token;
            for head in 0..kv_heads {
                let at = row * kv_heads + head;
                let key = &mut buffers.leaving_keys[at * dim..(at + 1) * dim];
                page.key(key_values.shape(), head, leaving % PAGE_TOKENS, key);
                if angle_width > 0 {
                    rotate(key, dim, &buffers.leaving_angles[row * angle_width..(row + 1) * angle_width]);
                }
                buffers.salience[at] = dot(&weights.salience[head * dim..(head + 1) * dim], key);
            }
        }
    }

    /// Reads the sums, lets the tokens that leave into them, and joins what is read with attention's heads.
    fn remember(
        &self,
        angles: &EvictedAngles,
        weights: &EvictedWeights,
        (key_values, state): (&KeyValues, &mut EvictedState),
        (position, first_row, count): (usize, usize, usize),
        scratch: &mut Scratch,
    ) {
        let (heads, kv_heads, dim) = (self.part.heads, self.part.kv_heads, self.part.head_dim);
        let (width, kv_width, group, features) = (heads * dim, kv_heads * dim, heads / kv_heads, 2 * dim);
        // Nothing leaves after the tokens before this one.
        let skipped = (angles.width + self.config.kept()).saturating_sub(position + 1).min(count);
        let (first, last) = (first_row + skipped, first_row + count);
        let (mix_stride, correction_stride) = (heads.next_multiple_of(PANEL_ROWS), (2 * heads).next_multiple_of(PANEL_ROWS));
        let buffers = &mut scratch.evicted;
        buffers.leaving_values.resize(dim, 0.0);
        for kv_head in 0..kv_heads {
            let of_group = kv_head * group..(kv_head + 1) * group;
            let queries = &scratch.mapped_query[first * width..last * width];
            weights.query_maps.apply(of_group.clone(), queries, &mut buffers.map_input, &mut buffers.mapped, &mut buffers.query_features);
            let keys = &buffers.leaving_keys[first * kv_width..last * kv_width];
            weights.key_maps.apply(kv_head..kv_head + 1, keys, &mut buffers.map_input, &mut buffers.mapped, &mut buffers.key_features);
            buffers.numerators.resize(group * dim, 0.0);
            buffers.denominators.resize(group, 0.0);
            for row in first..last {
                let at = position + row - first_row;
                let leaving = at + 1 - angles.width;
                if let Some(page) = key_values.page(leaving / PAGE_TOKENS) {
                    page.value(key_values.shape(), kv_head, leaving % PAGE_TOKENS, &mut buffers.leaving_values);
                }
                let remembered = Remembered {
                    sums: &mut state.sums[kv_head * features * dim..(kv_head + 1) * features * dim],
                    normalisers: &mut state.normalisers[kv_head * features..(kv_head + 1) * features],
                    decay: weights.decays[kv_head],
                };
                let (of_queries, of_keys) = ((row - first) * group * features, (row - first) * features);
                read_and_take(
                    remembered,
                    &buffers.query_features[of_queries..of_queries + group * features],
                    &buffers.key_features[of_keys..of_keys + features],
                    &buffers.leaving_values,
                    &mut buffers.numerators,
                    &mut buffers.denominators,
                );
                let evicted = evicted_before(&self.config, angles.width, at);
                if evicted == 0 {
                    continue;
                }
                for (ordinal, head) in of_group.clone().enumerate() {
                    let correction = &buffers.correction[row * correction_stride..][..2 * heads];
                    let gates = Gates {
                        ramp: ramp(evicted),
                        mix: buffers.mix[row * mix_stride + head],
                        normaliser: weights.normaliser[head],
                        matching: weights.matching[head],
                        log_normaliser: buffers.log_normalisers[row * heads + head],
                        correction: (correction[head], correction[heads + head]),
                    };
                    join_and_correct(
                        &mut scratch.branch[row * width + head * dim..][..dim],
                        &buffers.numerators[ordinal * dim..(ordinal + 1) * dim],
                        buffers.denominators[ordinal],
                        gates,
                        &weights.scale[head * dim..(head + 1) * dim],
                        &weights.bias[head * dim..(head + 1) * dim],
                    );
                }
            }
        }
    }
}
