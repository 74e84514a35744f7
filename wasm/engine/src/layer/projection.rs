//! A matrix with an optional bias, and the four that surround attention.

use crate::error::{Error, Result};
use crate::kernel::{Activations, Active, product};
use crate::weights::loader::Tensor;
use crate::weights::matrix::PANEL_ROWS;
use crate::weights::{Matrix, TensorType};
use std::collections::HashMap;

/// Takes tensors out of what the loader has read; that all are there was checked by name before.
pub struct Tensors<'a>(pub &'a mut HashMap<String, Tensor>);

impl Tensors<'_> {
    /// A matrix that must be there.
    pub fn matrix(&mut self, name: &str) -> Result<Matrix> {
        self.optional_matrix(name).ok_or_else(|| Error::InvalidGguf(format!("tensor '{name}' is missing")))
    }

    /// Whether `{name}.weight` is there.
    pub fn has_weight(&self, name: &str) -> bool {
        self.0.contains_key(&format!("{name}.weight"))
    }

    /// A matrix that may be there.
    pub fn optional_matrix(&mut self, name: &str) -> Option<Matrix> {
        match self.0.remove(name) {
            Some(Tensor::Matrix(matrix)) => Some(matrix),
            _ => None,
        }
    }

    /// A vector that must be there.
    pub fn vector(&mut self, name: &str) -> Result<Vec<f32>> {
        self.optional_vector(name).ok_or_else(|| Error::InvalidGguf(format!("tensor '{name}' is missing")))
    }

    /// A vector that may be there.
    pub fn optional_vector(&mut self, name: &str) -> Option<Vec<f32>> {
        match self.0.remove(name) {
            Some(Tensor::Vector(vector)) => Some(vector),
            _ => None,
        }
    }
}

/// `y = W x + b`.
#[derive(Debug)]
pub struct Projection {
    weight: Matrix,
    bias: Option<Vec<f32>>,
}

impl Projection {
    /// `{name}.weight` and, where there is one, `{name}.bias`.
    pub fn take(tensors: &mut Tensors<'_>, name: &str) -> Result<Self> {
        Ok(Self { weight: tensors.matrix(&format!("{name}.weight"))?, bias: tensors.optional_vector(&format!("{name}.bias")) })
    }

    /// Output size.
    pub fn rows(&self) -> usize {
        self.weight.rows()
    }

    /// Type of its matrix.
    pub fn kind(&self) -> TensorType {
        self.weight.kind()
    }

    /// `y` becomes `[tokens, rows]`, the rows of this rank, its rows padded to whole panels: returns that stride.
    pub fn apply(&self, x: &mut Activations, y: &mut Vec<f32>) -> usize {
        let stride = self.weight.rows().next_multiple_of(PANEL_ROWS);
        if stride == 0 {
            y.clear();
            return stride;
        }
        x.prepare(self.weight.kind());
        y.resize(x.tokens() * stride, 0.0);
        product::<Active>(&self.weight, 0..self.weight.rows(), x, y, stride);
        if let Some(bias) = &self.bias {
            for row in y.chunks_exact_mut(stride) {
                for (y, bias) in row.iter_mut().zip(bias) {
                    *y += bias;
                }
            }
        }
        stride
    }
}

/// Queries, keys, values in; heads' outputs out.
#[derive(Debug)]
pub struct AttentionProjections {
    /// `[heads * head_dim, hidden]`
    pub query: Projection,
    /// `[KV heads * head_dim, hidden]`
    pub key: Projection,
    /// `[KV heads * head_dim, hidden]`
    pub value: Projection,
    /// `[hidden, heads * head_dim]`
    pub output: Projection,
}

impl AttentionProjections {
    /// From `blk.{layer}.{prefix}attn_*`.
    pub fn take(tensors: &mut Tensors<'_>, layer: usize, prefix: &str) -> Result<Self> {
        let mut one = |name: &str| Projection::take(tensors, &format!("blk.{layer}.{prefix}attn_{name}"));
        Ok(Self { query: one("q")?, key: one("k")?, value: one("v")?, output: one("output")? })
    }
}

/// Takes the padding out of rows that a product has written panel by panel: `[rows, width]`.
pub fn compact(values: &mut Vec<f32>, rows: usize, width: usize) {
    let stride = width.next_multiple_of(PANEL_ROWS);
    if stride != width {
        for row in 1..rows {
            values.copy_within(row * stride..row * stride + width, row * width);
        }
    }
    values.truncate(rows * width);
}
