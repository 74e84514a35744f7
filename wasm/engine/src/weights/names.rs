//! Which tensors a model has: names, shapes and where an order differs. The one table between files and layers.

use crate::config::{Config, FeedForward, Gate, Rank};
use core::ops::Range;

/// What a tensor becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A packed matrix.
    Matrix,
    /// A packed matrix whose rows are put from GGUF's interleaved rotary order into half-split order, head by head.
    RotaryMatrix,
    /// A packed matrix of one matrix per head, each of whose rows start at a panel (`weights/matrix.rs`).
    HeadMatrices,
    /// Dense f32.
    Vector,
    /// Dense f32, reordered as [`Form::RotaryMatrix`].
    RotaryVector,
    /// Of W8 weights: f32 scales, one per row and group.
    Scales,
    /// Of W8 weights: row, column and what the code lacks, one row of three an entry.
    Outliers,
}

impl Form {
    /// Whether it is dense numbers, one row in the file.
    pub fn is_vector(self) -> bool {
        matches!(self, Self::Vector | Self::RotaryVector)
    }
}

/// The weights of this name are W8: their scales' and their outliers' names.
pub fn w8_names(weight: &str) -> (String, String) {
    let stem = weight.strip_suffix(".weight").unwrap_or(weight);
    (format!("{stem}.scales"), format!("{stem}.outliers"))
}

/// How a tensor's rows, or a vector's numbers, are divided between the ranks of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Division {
    /// Every rank has all of them.
    Copied,
    /// By panels: each of so many stacked matrices by itself.
    Panels(usize),
    /// By KV heads: each of so many stacked matrices by itself.
    Heads(usize),
}

/// The rows of a tensor that one rank has: the same of each of several stacked matrices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// Rows of one of the stacked matrices.
    of: usize,
    /// Those that the rank has.
    kept: Range<usize>,
    matrices: usize,
}

impl Slice {
    /// How many rows it has.
    pub fn len(&self) -> usize {
        self.kept.len() * self.matrices
    }

    /// How many rows the tensor has.
    pub fn whole(&self) -> usize {
        self.of * self.matrices
    }

    /// Whether the rank has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where a row of the tensor lies among the rank's; none where it is another's.
    pub fn place(&self, row: usize) -> Option<usize> {
        let (matrix, within) = (row / self.of, row % self.of);
        (matrix < self.matrices && self.kept.contains(&within)).then(|| matrix * self.kept.len() + within - self.kept.start)
    }

    /// How many rows of the tensor, from `row` on, which the rank has, lie one behind another as they do in the rank's matrix.
    pub fn kept_from(&self, row: usize) -> usize {
        if self.kept == (0..self.of) { (self.of * self.matrices).saturating_sub(row) } else { self.kept.end.saturating_sub(row % self.of) }
    }

    /// The first row of the tensor, from `row` on, that the rank has; none where the others have all the rest.
    pub fn next(&self, row: usize) -> Option<usize> {
        if self.is_empty() {
            return None;
        }
        let (matrix, within) = (row / self.of, row % self.of);
        let (matrix, within) = if within < self.kept.end { (matrix, within.max(self.kept.start)) } else { (matrix + 1, self.kept.start) };
        (matrix < self.matrices).then(|| matrix * self.of + within)
    }
}

/// A tensor the model needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// Name in the file.
    pub name: String,
    /// Output size; for a vector its length.
    pub rows: usize,
    /// Input size; 1 for a vector.
    pub columns: usize,
    /// What it becomes.
    pub form: Form,
    /// Which rank has what of it.
    pub division: Division,
}

impl Spec {
    /// Of a model with so many KV heads, the rows that a rank has.
    pub fn slice(&self, rank: Rank, kv_heads: usize) -> Slice {
        let stacked = |matrices: usize, kept: Range<usize>| Slice { of: self.rows / matrices, kept, matrices };
        match self.division {
            Division::Copied => stacked(1, 0..self.rows),
            Division::Panels(matrices) => stacked(matrices, rank.rows_of(rank.number(), self.rows / matrices)),
            Division::Heads(matrices) => stacked(matrices, rank.heads_of(rank.number(), kv_heads, self.rows / matrices)),
        }
    }

    /// Parameters of the model that it holds: none where it says how others are stored.
    pub fn parameters(&self) -> u64 {
        match self.form {
            Form::Scales | Form::Outliers => 0,
            Form::Matrix | Form::RotaryMatrix | Form::HeadMatrices | Form::Vector | Form::RotaryVector => {
                self.rows as u64 * self.columns as u64
            }
        }
    }
}

/// Tensor name prefixes of a layer's branches when each has its own projections.
pub const LINEAR_PREFIX: &str = "linear_";
/// See [`LINEAR_PREFIX`].
pub const SOFTMAX_PREFIX: &str = "softmax_";

/// All tensors of a model. `present` tells whether the file has a name: it decides what a file may leave out (biases, an untied head) or
/// may store in two ways (the gate as one matrix or as a low-rank pair, whose rank is the first one's rows).
pub fn specs(config: &Config, rows_of: impl Fn(&str) -> Option<usize>) -> Vec<Spec> {
    let mut specs = Specs { list: Vec::new(), rows_of: &rows_of };
    specs.matrix("token_embd.weight".into(), config.vocabulary, config.hidden, Division::Panels(1));
    specs.vector("output_norm.weight".into(), config.hidden, Division::Copied);
    if rows_of("output.weight").is_some() {
        specs.matrix("output.weight".into(), config.vocabulary, config.hidden, Division::Panels(1));
    }
    if config.learned_sinks > 0 {
        specs.matrix("sink_embd.weight".into(), config.learned_sinks, config.hidden, Division::Copied);
    }
    for index in 0..config.layers.len() {
        specs.layer(config, index);
    }
    specs.list
}

struct Specs<'a> {
    list: Vec<Spec>,
    rows_of: &'a dyn Fn(&str) -> Option<usize>,
}

impl Specs<'_> {
    fn push(&mut self, name: String, rows: usize, columns: usize, form: Form, division: Division) {
        self.list.push(Spec { name, rows, columns, form, division });
    }

    fn matrix(&mut self, name: String, rows: usize, columns: usize, division: Division) {
        self.push(name, rows, columns, Form::Matrix, division);
    }

    fn vector(&mut self, name: String, length: usize, division: Division) {
        self.push(name, length, 1, Form::Vector, division);
    }

    fn optional_vector(&mut self, name: String, length: usize, form: Form, division: Division) {
        if (self.rows_of)(&name).is_some() {
            self.push(name, length, 1, form, division);
        }
    }

    fn layer(&mut self, config: &Config, index: usize) {
        let layer = config.layers[index];
        let at = |name: &str| format!("blk.{index}.{name}");
        let (inner, kv_inner) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
        self.vector(at("attn_norm.weight"), config.hidden, Division::Copied);
        let prefixes: &[&str] =
            if layer.mixer.is_parallel() && layer.mixer.separate_projections { &[LINEAR_PREFIX, SOFTMAX_PREFIX] } else { &[""] };
        let (matrix, vector) =
            if config.rope_interleaved { (Form::RotaryMatrix, Form::RotaryVector) } else { (Form::Matrix, Form::Vector) };
        for prefix in prefixes {
            self.push(at(&format!("{prefix}attn_q.weight")), inner, config.hidden, matrix, Division::Heads(1));
            self.push(at(&format!("{prefix}attn_k.weight")), kv_inner, config.hidden, matrix, Division::Heads(1));
            self.matrix(at(&format!("{prefix}attn_v.weight")), kv_inner, config.hidden, Division::Heads(1));
            self.matrix(at(&format!("{prefix}attn_output.weight")), config.hidden, inner, Division::Panels(1));
            self.optional_vector(at(&format!("{prefix}attn_q.bias")), inner, vector, Division::Heads(1));
            self.optional_vector(at(&format!("{prefix}attn_k.bias")), kv_inner, vector, Division::Heads(1));
            self.optional_vector(at(&format!("{prefix}attn_v.bias")), kv_inner, Form::Vector, Division::Heads(1));
            self.optional_vector(at(&format!("{prefix}attn_output.bias")), config.hidden, Form::Vector, Division::Panels(1));
        }
        if layer.mixer.is_parallel() {
            let norm = if layer.mixer.separate_projections { config.hidden } else { inner };
            self.vector(at("linear_norm.weight"), norm, Division::Copied);
            self.vector(at("softmax_norm.weight"), norm, Division::Copied);
        }
        if let Some(linear) = layer.mixer.linear {
            if linear.head_norm {
                self.vector(at("attn_head_norm.weight"), config.head_dim, Division::Copied);
            }
            if matches!(linear.gate, Gate::Learned { .. }) {
                match (self.rows_of)(&at("attn_gate_a.weight")) {
                    Some(rank) => {
                        self.matrix(at("attn_gate_a.weight"), rank, config.hidden, Division::Copied);
                        self.matrix(at("attn_gate_b.weight"), kv_inner, rank, Division::Heads(1));
                        self.vector(at("attn_gate_b.bias"), kv_inner, Division::Heads(1));
                    }
                    None => {
                        self.matrix(at("attn_gate.weight"), kv_inner, config.hidden, Division::Heads(1));
                        self.vector(at("attn_gate.bias"), kv_inner, Division::Heads(1));
                    }
                }
            }
        }
        if layer.mixer.evicted.is_some() {
            self.evicted(config, &at);
        }
        self.vector(at("ffn_norm.weight"), config.hidden, Division::Copied);
        match layer.feed_forward {
            FeedForward::Dense(width) => self.swiglu(&at, "", config.hidden, width, 1),
            FeedForward::Experts(experts) => {
                self.matrix(at("ffn_gate_inp.weight"), experts.count, config.hidden, Division::Copied);
                self.swiglu(&at, "_exps", config.hidden, experts.inner, experts.count);
                if experts.shared_inner > 0 {
                    self.swiglu(&at, "_shexp", config.hidden, experts.shared_inner, 1);
                }
            }
        }
    }

    fn evicted(&mut self, config: &Config, at: &dyn Fn(&str) -> String) {
        let dim = config.head_dim;
        for (name, heads) in [("query", config.heads), ("key", config.kv_heads)] {
            self.push(at(&format!("evicted_{name}_map.weight")), heads * dim, dim, Form::HeadMatrices, Division::Heads(1));
            self.vector(at(&format!("evicted_{name}_map.bias")), heads * 2 * dim, Division::Heads(1));
        }
        self.vector(at("evicted_log_decay.weight"), config.kv_heads, Division::Heads(1));
        self.matrix(at("evicted_salience.weight"), config.kv_heads, dim, Division::Heads(1));
        self.matrix(at("evicted_mix.weight"), config.heads, config.hidden, Division::Heads(1));
        self.vector(at("evicted_mix.bias"), config.heads, Division::Heads(1));
        self.vector(at("evicted_mix_normaliser.weight"), config.heads, Division::Heads(1));
        self.vector(at("evicted_mix_match.weight"), config.heads, Division::Heads(1));
        self.matrix(at("evicted_correction.weight"), 2 * config.heads, config.hidden, Division::Heads(2));
        self.vector(at("evicted_correction_scale.weight"), config.heads * dim, Division::Heads(1));
        self.vector(at("evicted_correction_bias.weight"), config.heads * dim, Division::Heads(1));
    }

    fn swiglu(&mut self, at: &dyn Fn(&str) -> String, suffix: &str, hidden: usize, width: usize, count: usize) {
        self.matrix(at(&format!("ffn_gate{suffix}.weight")), width * count, hidden, Division::Panels(count));
        self.matrix(at(&format!("ffn_up{suffix}.weight")), width * count, hidden, Division::Panels(count));
        self.matrix(at(&format!("ffn_down{suffix}.weight")), hidden * count, width, Division::Panels(count));
    }
}
