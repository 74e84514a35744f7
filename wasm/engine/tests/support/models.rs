//! Small models with random weights: a description, the file made from it, and the weights as that file holds them.

pub mod catalogue;

pub use catalogue::catalogue;

use super::gguf_file::{self, FileTensor, Meta, decode_row, ggml_number};
use super::random::Random;
use spikingbrain_engine::weights::TensorType;
use spikingbrain_engine::weights::matrix::encode_row;
use std::collections::BTreeMap;

/// Decay of linear attention.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum GateForm {
    /// One learned matrix.
    Merged,
    /// Two, of this rank between them.
    LowRank(usize),
    OneMinusKey,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExpertSpec {
    pub count: usize,
    pub used: usize,
    pub inner: usize,
    pub shared_inner: usize,
    pub sigmoid: bool,
    pub normalised: bool,
}

/// Of `evicted` mixers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EvictedSpec {
    pub sink_cap: usize,
    pub salient: usize,
    pub half_life: usize,
}

/// A model's description; `layers` are pairs of mixer and feed-forward (`dense` or `moe`).
#[derive(Debug, Clone, PartialEq)]
pub struct ModelSpec {
    pub architecture: &'static str,
    pub hidden: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub rope_dim: usize,
    pub rope_theta: f32,
    pub vocabulary: usize,
    pub inner: usize,
    pub layers: Vec<(&'static str, &'static str)>,
    pub window: usize,
    pub sinks: usize,
    pub kept: usize,
    pub separate: bool,
    pub sigmoid_map: bool,
    pub gate: GateForm,
    pub gate_bias: f32,
    pub gate_normalizer: f32,
    pub head_norm: bool,
    pub evicted: EvictedSpec,
    pub experts: Option<ExpertSpec>,
    pub biases: bool,
    pub tied: bool,
    pub kind: TensorType,
    /// Puts code -128 into every Q8_0 matrix.
    pub lowest_codes: bool,
    pub seed: u64,
}

pub const EPSILON: f32 = 1e-6;

impl Default for ModelSpec {
    fn default() -> Self {
        Self {
            architecture: "spikingbrain",
            hidden: 20,
            heads: 4,
            kv_heads: 2,
            head_dim: 6,
            rope_dim: 6,
            rope_theta: 10_000.0,
            vocabulary: 37,
            inner: 28,
            layers: vec![("full", "dense"), ("full", "dense")],
            window: 40,
            sinks: 0,
            kept: 0,
            separate: false,
            sigmoid_map: false,
            gate: GateForm::LowRank(3),
            gate_bias: 1.0,
            gate_normalizer: 16.0,
            head_norm: true,
            evicted: EvictedSpec { sink_cap: 30, salient: 6, half_life: 40 },
            experts: None,
            biases: false,
            tied: false,
            kind: TensorType::F32,
            lowest_codes: false,
            seed: 1,
        }
    }
}

/// A tensor's values, row after row.
#[derive(Debug, Clone)]
pub struct Dense {
    pub columns: usize,
    pub values: Vec<f64>,
}

impl Dense {
    pub fn row(&self, index: usize) -> &[f64] {
        &self.values[index * self.columns..(index + 1) * self.columns]
    }

    /// `W x`
    pub fn times(&self, x: &[f64]) -> Vec<f64> {
        self.values.chunks_exact(self.columns).map(|row| row.iter().zip(x).map(|(w, x)| w * x).sum()).collect()
    }
}

#[derive(Debug, Clone)]
pub struct TestModel {
    pub spec: ModelSpec,
    pub metadata: Vec<(String, Meta)>,
    pub tensors: Vec<FileTensor>,
    pub weights: BTreeMap<String, Dense>,
}

impl TestModel {
    pub fn bytes(&self) -> Vec<u8> {
        gguf_file::write(&self.metadata, &self.tensors)
    }

    pub fn weight(&self, name: &str) -> &Dense {
        &self.weights[name]
    }
}

struct Writer {
    random: Random,
    model: TestModel,
}

impl Writer {
    fn put(&mut self, name: &str, kind: TensorType, rows: usize, columns: usize, one_dimension: bool, values: &[f32]) {
        let mut bytes = Vec::new();
        let mut decoded = Vec::new();
        for row in values.chunks_exact(columns) {
            let mut row = encode_row(kind, row);
            if kind == TensorType::Q8_0 && self.model.spec.lowest_codes {
                for block in row.chunks_exact_mut(34) {
                    block[2 + self.random.below(32)] = 0x80;
                }
            }
            decoded.extend(decode_row(kind, &row));
            bytes.extend(row);
        }
        let dimensions = if one_dimension { vec![columns as u64] } else { vec![columns as u64, rows as u64] };
        self.model.tensors.push(FileTensor { name: name.to_owned(), dimensions, kind: ggml_number(kind), offset: None, bytes });
        self.model.weights.insert(name.to_owned(), Dense { columns, values: decoded });
    }

    fn matrix(&mut self, name: &str, rows: usize, columns: usize, size: f32) {
        let scale = size / (columns as f32).sqrt();
        let values: Vec<f32> = (0..rows * columns).map(|_| self.random.uniform() * scale).collect();
        // Rows that are no whole blocks are stored as the exporter stores them.
        let wanted = self.model.spec.kind;
        let kind = if columns.is_multiple_of(wanted.block_elements()) { wanted } else { TensorType::F16 };
        self.put(name, kind, rows, columns, false, &values);
    }

    fn vector(&mut self, name: &str, length: usize, around: f32, spread: f32) {
        let values: Vec<f32> = (0..length).map(|_| around + self.random.uniform() * spread).collect();
        self.put(name, TensorType::F32, 1, length, true, &values);
    }

    fn evicted(&mut self, index: usize) {
        let spec = self.model.spec.clone();
        let (heads, kv_heads, dim) = (spec.heads, spec.kv_heads, spec.head_dim);
        let at = |name: &str| format!("blk.{index}.evicted_{name}");
        for (name, heads) in [("query_map", heads), ("key_map", kv_heads)] {
            self.matrix(&at(&format!("{name}.weight")), heads * dim, dim, 2.0);
            self.vector(&at(&format!("{name}.bias")), heads * 2 * dim, 0.0, 0.5);
        }
        self.vector(&at("log_decay.weight"), kv_heads, -0.05, 0.04);
        self.matrix(&at("salience.weight"), kv_heads, dim, 2.0);
        self.matrix(&at("mix.weight"), heads, spec.hidden, 2.0);
        self.vector(&at("mix.bias"), heads, 0.0, 0.5);
        self.vector(&at("mix_normaliser.weight"), heads, -0.2, 0.3);
        self.vector(&at("mix_match.weight"), heads, 0.2, 0.3);
        self.matrix(&at("correction.weight"), 2 * heads, spec.hidden, 1.0);
        self.vector(&at("correction_scale.weight"), heads * dim, 0.0, 0.5);
        self.vector(&at("correction_bias.weight"), heads * dim, 0.0, 0.5);
    }

    fn layer(&mut self, index: usize) {
        let spec = self.model.spec.clone();
        let (mixer, feed_forward) = spec.layers[index];
        let at = |name: &str| format!("blk.{index}.{name}");
        let (wide, narrow) = (spec.heads * spec.head_dim, spec.kv_heads * spec.head_dim);
        let parallel = mixer.contains('+');
        self.vector(&at("attn_norm.weight"), spec.hidden, 1.0, 0.3);
        let prefixes: &[&str] = if parallel && spec.separate { &["linear_", "softmax_"] } else { &[""] };
        for prefix in prefixes {
            for (name, rows, columns) in
                [("q", wide, spec.hidden), ("k", narrow, spec.hidden), ("v", narrow, spec.hidden), ("output", spec.hidden, wide)]
            {
                self.matrix(&at(&format!("{prefix}attn_{name}.weight")), rows, columns, 2.5);
                if spec.biases {
                    self.vector(&at(&format!("{prefix}attn_{name}.bias")), rows, 0.0, 0.5);
                }
            }
        }
        if parallel {
            let width = if spec.separate { spec.hidden } else { wide };
            self.vector(&at("linear_norm.weight"), width, 1.0, 0.3);
            self.vector(&at("softmax_norm.weight"), width, 1.0, 0.3);
        }
        if mixer.contains("linear") {
            if spec.head_norm {
                self.vector(&at("attn_head_norm.weight"), spec.head_dim, 1.0, 0.3);
            }
            match spec.gate {
                GateForm::Merged => {
                    self.matrix(&at("attn_gate.weight"), narrow, spec.hidden, 2.0);
                    self.vector(&at("attn_gate.bias"), narrow, spec.gate_bias, 1.0);
                }
                GateForm::LowRank(rank) => {
                    self.matrix(&at("attn_gate_a.weight"), rank, spec.hidden, 2.0);
                    self.matrix(&at("attn_gate_b.weight"), narrow, rank, 2.0);
                    self.vector(&at("attn_gate_b.bias"), narrow, spec.gate_bias, 1.0);
                }
                GateForm::OneMinusKey => {}
            }
        }
        if mixer == "evicted" {
            self.evicted(index);
        }
        self.vector(&at("ffn_norm.weight"), spec.hidden, 1.0, 0.3);
        match (feed_forward, spec.experts) {
            ("moe", Some(experts)) => {
                self.matrix(&at("ffn_gate_inp.weight"), experts.count, spec.hidden, 2.5);
                self.swiglu(index, "_exps", experts.inner, experts.count);
                if experts.shared_inner > 0 {
                    self.swiglu(index, "_shexp", experts.shared_inner, 1);
                }
            }
            _ => self.swiglu(index, "", spec.inner, 1),
        }
    }

    fn swiglu(&mut self, index: usize, suffix: &str, inner: usize, count: usize) {
        let hidden = self.model.spec.hidden;
        for (name, rows, columns) in [("gate", inner, hidden), ("up", inner, hidden), ("down", hidden, inner)] {
            self.matrix(&format!("blk.{index}.ffn_{name}{suffix}.weight"), rows * count, columns, 2.0);
            if count > 1
                && let Some(tensor) = self.model.tensors.last_mut()
            {
                tensor.dimensions = vec![columns as u64, rows as u64, count as u64];
            }
        }
    }
}

fn metadata(spec: &ModelSpec) -> Vec<(String, Meta)> {
    let mut list = vec![
        ("general.architecture".to_owned(), Meta::Text(spec.architecture.to_owned())),
        ("general.name".to_owned(), Meta::Text("tiny".to_owned())),
        ("tokenizer.ggml.eos_token_id".to_owned(), Meta::U32(0)),
    ];
    let mut put = |key: &str, meta: Meta| list.push((format!("{}.{key}", spec.architecture), meta));
    let size = |n: usize| Meta::U32(n as u32);
    let text = |text: &str| Meta::Text(text.to_owned());
    put("block_count", size(spec.layers.len()));
    put("context_length", size(4_096));
    put("embedding_length", size(spec.hidden));
    put("feed_forward_length", size(spec.inner));
    put("attention.head_count", size(spec.heads));
    put("attention.head_count_kv", size(spec.kv_heads));
    put("attention.key_length", size(spec.head_dim));
    put("attention.layer_norm_rms_epsilon", Meta::F32(EPSILON));
    put("rope.freq_base", Meta::F32(spec.rope_theta));
    put("rope.dimension_count", size(spec.rope_dim));
    if spec.architecture == "spikingbrain" {
        let names = |pick: fn(&(&'static str, &'static str)) -> &'static str| {
            Meta::Texts(spec.layers.iter().map(|layer| pick(layer).to_owned()).collect())
        };
        put("layer.mixers", names(|layer| layer.0));
        put("layer.feed_forwards", names(|layer| layer.1));
        put("attention.sliding_window", size(spec.window));
        if spec.layers.iter().any(|layer| layer.0 == "evicted") {
            put("evicted.sink_cap", size(spec.evicted.sink_cap));
            put("evicted.salient", size(spec.evicted.salient));
            put("evicted.salience_half_life", size(spec.evicted.half_life));
        }
        put("attention.sink_count", size(spec.sinks));
        put("attention.kept_tokens", size(spec.kept));
        put("parallel.projections", text(if spec.separate { "separate" } else { "shared" }));
        put("linear.feature_map", text(if spec.sigmoid_map { "sigmoid" } else { "relu" }));
        put("linear.gate", text(if spec.gate == GateForm::OneMinusKey { "one_minus_key" } else { "learned" }));
        put("linear.gate_normalizer", Meta::F32(spec.gate_normalizer));
        put("linear.head_norm", Meta::Bool(spec.head_norm));
    }
    if let Some(experts) = spec.experts {
        put("expert_count", size(experts.count));
        put("expert_used_count", size(experts.used));
        put("expert_feed_forward_length", size(experts.inner));
        put("expert_shared_feed_forward_length", size(experts.shared_inner));
        put("expert_gating", text(if experts.sigmoid { "sigmoid" } else { "softmax" }));
        put("expert_weights_norm", Meta::Bool(experts.normalised));
    }
    list
}

/// The file and the weights in it; the same spec makes the same bytes.
pub fn build(spec: &ModelSpec) -> TestModel {
    let mut writer = Writer {
        random: Random::new(spec.seed),
        model: TestModel { spec: spec.clone(), metadata: metadata(spec), tensors: Vec::new(), weights: BTreeMap::new() },
    };
    let unit = (spec.hidden as f32).sqrt();
    writer.matrix("token_embd.weight", spec.vocabulary, spec.hidden, unit);
    if spec.sinks > 0 {
        writer.matrix("sink_embd.weight", spec.sinks, spec.hidden, unit);
    }
    for index in 0..spec.layers.len() {
        writer.layer(index);
    }
    writer.vector("output_norm.weight", spec.hidden, 1.0, 0.3);
    if !spec.tied {
        writer.matrix("output.weight", spec.vocabulary, spec.hidden, 3.0);
    }
    writer.model
}
