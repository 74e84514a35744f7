//! `phi(y) = softmax([M y, -M y] + b)`, with a map for each head.

use crate::error::Result;
use crate::kernel::{Activations, Active, Kernel, product};
use crate::layer::projection::Tensors;
use crate::weights::Matrix;
use crate::weights::matrix::panel_rows;
use core::ops::Range;

/// The maps of all heads.
#[derive(Debug)]
pub struct FeatureMaps {
    /// `M`, `[head_dim, head_dim]`, head after head, each from a panel on.
    weight: Matrix,
    /// `b`, `[heads, 2 head_dim]`.
    bias: Vec<f32>,
    dim: usize,
}

impl FeatureMaps {
    pub(super) fn take(tensors: &mut Tensors<'_>, name: &str, dim: usize) -> Result<Self> {
        Ok(Self { weight: tensors.matrix(&format!("{name}.weight"))?, bias: tensors.vector(&format!("{name}.bias"))?, dim })
    }

    /// Of un-rotated rows `x`, each `[all heads, head_dim]`, the features of some heads: `[rows, heads.len(), 2 head_dim]` into `features`.
    /// `input` and `mapped` are buffers.
    pub fn apply(&self, heads: Range<usize>, x: &[f32], input: &mut Activations, mapped: &mut Vec<f32>, features: &mut Vec<f32>) {
        let (dim, stride) = (self.dim, panel_rows(self.dim));
        let all = self.bias.len() / (2 * dim);
        let rows = x.len() / (all * dim);
        features.resize(rows * heads.len() * 2 * dim, 0.0);
        for (ordinal, head) in heads.clone().enumerate() {
            let target = input.fill(rows, dim);
            for (target, row) in target.chunks_exact_mut(dim).zip(x.chunks_exact(all * dim)) {
                target.copy_from_slice(&row[head * dim..(head + 1) * dim]);
            }
            input.prepare(self.weight.kind());
            mapped.resize(rows * stride, 0.0);
            product::<Active>(&self.weight, head * stride..head * stride + dim, input, mapped, stride);
            let (plus, minus) = self.bias[head * 2 * dim..(head + 1) * 2 * dim].split_at(dim);
            let of_head = features.chunks_exact_mut(2 * dim).skip(ordinal).step_by(heads.len());
            for (features, mapped) in of_head.zip(mapped.chunks_exact(stride)) {
                let (first, second) = features.split_at_mut(dim);
                for d in 0..dim {
                    first[d] = mapped[d] + plus[d];
                    second[d] = minus[d] - mapped[d];
                }
                Active::softmax(features);
            }
        }
    }
}
