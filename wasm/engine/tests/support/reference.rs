//! The model in f64, the plainest way: every token sees a mask, every query head has a linear state of its own. Written from the model's
//! description; shares nothing with the engine.

mod evicted;

use super::models::{EPSILON, GateForm, ModelSpec, TestModel};

type Rows = Vec<Vec<f64>>;

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn rms_norm(x: &[f64], weight: &[f64]) -> Vec<f64> {
    let mean = x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
    let scale = 1.0 / (mean + f64::from(EPSILON)).sqrt();
    x.iter().zip(weight).map(|(x, w)| x * scale * w).collect()
}

fn add(x: &mut [f64], y: &[f64]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}

struct Layer<'a> {
    model: &'a TestModel,
    index: usize,
}

/// `[token][head * head_dim + dim]`
struct Projected {
    query: Rows,
    key: Rows,
    value: Rows,
}

impl Layer<'_> {
    fn name(&self, name: &str) -> String {
        format!("blk.{}.{name}", self.index)
    }

    fn vector(&self, name: &str) -> &[f64] {
        &self.model.weight(&self.name(name)).values
    }

    /// `W x + b`, the bias where the model has one.
    fn apply(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let mut y = self.model.weight(&self.name(&format!("{name}.weight"))).times(x);
        if let Some(bias) = self.model.weights.get(&self.name(&format!("{name}.bias"))) {
            add(&mut y, &bias.values);
        }
        y
    }

    fn project(&self, prefix: &str, x: &Rows) -> Projected {
        let all = |name: &str| -> Rows { x.iter().map(|x| self.apply(&format!("{prefix}attn_{name}"), x)).collect() };
        Projected { query: all("q"), key: all("k"), value: all("v") }
    }

    fn gate(&self, spec: &ModelSpec, x: &[f64], mapped_key: &[f64]) -> Vec<f64> {
        let z = match spec.gate {
            GateForm::OneMinusKey => return mapped_key.iter().map(|k| 1.0 - k).collect(),
            GateForm::Merged => self.apply("attn_gate", x),
            GateForm::LowRank(_) => self.apply("attn_gate_b", &self.apply("attn_gate_a", x)),
        };
        z.iter().map(|z| sigmoid(*z).powf(1.0 / f64::from(spec.gate_normalizer))).collect()
    }

    /// Gated linear attention, token by token, one state per query head.
    fn linear(&self, x: &Rows, projected: &Projected) -> Rows {
        let spec = &self.model.spec;
        let dim = spec.head_dim;
        let map = |x: &f64| if spec.sigmoid_map { sigmoid(*x) } else { x.max(0.0) };
        let mut states = vec![vec![vec![0.0; dim]; dim]; spec.heads];
        let mut out = Rows::new();
        for (token, x) in x.iter().enumerate() {
            let query: Vec<f64> = projected.query[token].iter().map(map).collect();
            let key: Vec<f64> = projected.key[token].iter().map(map).collect();
            let gate = self.gate(spec, x, &key);
            let value = &projected.value[token];
            let mut row = Vec::new();
            for (head, state) in states.iter_mut().enumerate() {
                let shared = head / (spec.heads / spec.kv_heads) * dim;
                let mut read = vec![0.0; dim];
                for i in 0..dim {
                    for j in 0..dim {
                        state[i][j] = gate[shared + i] * state[i][j] + key[shared + i] * value[shared + j];
                        read[j] += query[head * dim + i] / (dim as f64).sqrt() * state[i][j];
                    }
                }
                row.extend(if spec.head_norm { rms_norm(&read, self.vector("attn_head_norm.weight")) } else { read });
            }
            out.push(row);
        }
        out
    }

    fn sees(&self, window: Option<usize>, query: usize, key: usize) -> bool {
        let spec = &self.model.spec;
        if query < spec.sinks {
            return key < spec.sinks;
        }
        let near = window.is_none_or(|window| query - key.min(query) < window);
        key <= query && (near || key < spec.sinks.max(spec.kept))
    }

    fn softmax(&self, window: Option<usize>, projected: &Projected) -> Rows {
        let spec = &self.model.spec;
        let dim = spec.head_dim;
        let all_rotated = |rows: &Rows| -> Rows {
            rows.iter()
                .enumerate()
                .map(|(position, row)| row.chunks(dim).flat_map(|head| rotated(spec, head, position)).collect())
                .collect()
        };
        let (query, key) = (all_rotated(&projected.query), all_rotated(&projected.key));
        (0..query.len())
            .map(|token| {
                let mut row = Vec::new();
                for head in 0..spec.heads {
                    let shared = head / (spec.heads / spec.kv_heads) * dim;
                    let seen: Vec<usize> = (0..query.len()).filter(|other| self.sees(window, token, *other)).collect();
                    let scores: Vec<f64> = seen
                        .iter()
                        .map(|other| {
                            let q = &query[token][head * dim..(head + 1) * dim];
                            let k = &key[*other][shared..shared + dim];
                            q.iter().zip(k).map(|(q, k)| q * k).sum::<f64>() / (dim as f64).sqrt()
                        })
                        .collect();
                    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    let total: f64 = scores.iter().map(|score| (score - largest).exp()).sum();
                    let mut read = vec![0.0; dim];
                    for (other, score) in seen.iter().zip(&scores) {
                        let weight = (score - largest).exp() / total;
                        let value = &projected.value[*other][shared..shared + dim];
                        read.iter_mut().zip(value).for_each(|(read, v)| *read += weight * v);
                    }
                    row.extend(read);
                }
                row
            })
            .collect()
    }

    fn mix(&self, x: &Rows) -> Rows {
        let spec = &self.model.spec;
        let mixer = spec.layers[self.index].0;
        let parallel = mixer.contains('+');
        let mut branches = Vec::new();
        for branch in mixer.split('+') {
            let prefix = match (parallel && spec.separate, branch) {
                (false, _) => "",
                (true, "linear") => "linear_",
                (true, _) => "softmax_",
            };
            let projected = self.project(prefix, x);
            let heads = match branch {
                "evicted" => evicted::heads(self, x, &projected),
                "linear" => self.linear(x, &projected),
                "window" => self.softmax(Some(spec.window), &projected),
                _ => self.softmax(None, &projected),
            };
            let norm = if branch == "linear" { "linear_norm.weight" } else { "softmax_norm.weight" };
            branches.push((prefix, norm, heads));
        }
        (0..x.len())
            .map(|token| match branches.as_slice() {
                [(_, _, heads)] => self.apply("attn_output", &heads[token]),
                _ if spec.separate => {
                    let mut sum = vec![0.0; spec.hidden];
                    for (prefix, norm, heads) in &branches {
                        let out = self.apply(&format!("{prefix}attn_output"), &heads[token]);
                        add(&mut sum, &rms_norm(&out, self.vector(norm)));
                    }
                    sum
                }
                _ => {
                    let mut sum = vec![0.0; spec.heads * spec.head_dim];
                    for (_, norm, heads) in &branches {
                        add(&mut sum, &rms_norm(&heads[token], self.vector(norm)));
                    }
                    self.apply("attn_output", &sum)
                }
            })
            .collect()
    }

    /// `down(silu(gate x) * up x)` of expert `index` of `count`.
    fn swiglu(&self, suffix: &str, (index, count): (usize, usize), x: &[f64]) -> Vec<f64> {
        let part = |name: &str, x: &[f64]| -> Vec<f64> {
            let all = self.model.weight(&self.name(&format!("ffn_{name}{suffix}.weight"))).times(x);
            let rows = all.len() / count;
            all[index * rows..(index + 1) * rows].to_vec()
        };
        let between: Vec<f64> = part("gate", x).iter().zip(part("up", x)).map(|(g, u)| g * sigmoid(*g) * u).collect();
        part("down", &between)
    }

    fn feed_forward(&self, x: &[f64]) -> Vec<f64> {
        let spec = &self.model.spec;
        let (Some(experts), "moe") = (spec.experts, spec.layers[self.index].1) else {
            return self.swiglu("", (0, 1), x);
        };
        let raw = self.apply("ffn_gate_inp", x);
        let total: f64 = raw.iter().map(|score| score.exp()).sum();
        let scores: Vec<f64> = raw.iter().map(|score| if experts.sigmoid { sigmoid(*score) } else { score.exp() / total }).collect();
        let mut order: Vec<usize> = (0..experts.count).collect();
        order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
        order.truncate(experts.used);
        let sum: f64 = order.iter().map(|expert| scores[*expert]).sum();
        let mut out = if experts.shared_inner > 0 { self.swiglu("_shexp", (0, 1), x) } else { vec![0.0; spec.hidden] };
        for expert in order {
            let weight = scores[expert] / if experts.normalised { sum } else { 1.0 };
            let one = self.swiglu("_exps", (expert, experts.count), x);
            out.iter_mut().zip(one).for_each(|(out, one)| *out += weight * one);
        }
        out
    }
}

/// A head at a position. Pairs are half of the rotated part apart, or side by side in llama's files.
fn rotated(spec: &ModelSpec, head: &[f64], position: usize) -> Vec<f64> {
    let mut out = head.to_vec();
    for pair in 0..spec.rope_dim / 2 {
        let (a, b) = if spec.architecture == "llama" { (2 * pair, 2 * pair + 1) } else { (pair, pair + spec.rope_dim / 2) };
        let frequency = f64::from(spec.rope_theta).powf(-2.0 * pair as f64 / spec.rope_dim as f64);
        let (sine, cosine) = (position as f64 * frequency).sin_cos();
        out[a] = head[a] * cosine - head[b] * sine;
        out[b] = head[a] * sine + head[b] * cosine;
    }
    out
}

/// Logits after every token of the text.
pub fn logits(model: &TestModel, tokens: &[u32]) -> Rows {
    let spec = &model.spec;
    let mut x: Rows = (0..spec.sinks).map(|sink| model.weight("sink_embd.weight").row(sink).to_vec()).collect();
    x.extend(tokens.iter().map(|token| model.weight("token_embd.weight").row(*token as usize).to_vec()));
    for index in 0..spec.layers.len() {
        let layer = Layer { model, index };
        let normed: Rows = x.iter().map(|x| rms_norm(x, layer.vector("attn_norm.weight"))).collect();
        let mixed = layer.mix(&normed);
        for (x, mixed) in x.iter_mut().zip(&mixed) {
            add(x, mixed);
            let out = layer.feed_forward(&rms_norm(x, layer.vector("ffn_norm.weight")));
            add(x, &out);
        }
    }
    let head = model.weight(if spec.tied { "token_embd.weight" } else { "output.weight" });
    x[spec.sinks..].iter().map(|x| head.times(&rms_norm(x, &model.weight("output_norm.weight").values))).collect()
}
