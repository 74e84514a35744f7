//! The `evicted` mixer in f64, as `gpu-backend/docs/evicted-tokens.md` says it: every query recounts its past from the beginning.

use super::{Layer, Projected, Rows, rotated, sigmoid};

/// A KV head's keys and values.
struct Past<'a> {
    keys: Vec<&'a [f64]>,
    values: Vec<&'a [f64]>,
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn softmax(x: Vec<f64>) -> Vec<f64> {
    let largest = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = x.iter().map(|x| (x - largest).exp()).sum();
    x.into_iter().map(|x| (x - largest).exp() / total).collect()
}

/// `softmax([M x, -M x] + b)` of head `head`.
fn features(layer: &Layer<'_>, map: &str, head: usize, x: &[f64]) -> Vec<f64> {
    let dim = x.len();
    let weight = layer.model.weight(&layer.name(&format!("evicted_{map}_map.weight")));
    let mapped: Vec<f64> = (0..dim).map(|d| dot(weight.row(head * dim + d), x)).collect();
    let bias = &layer.vector(&format!("evicted_{map}_map.bias"))[head * 2 * dim..];
    softmax(mapped.iter().copied().chain(mapped.iter().map(|x| -x)).zip(bias).map(|(x, b)| x + b).collect())
}

/// `[token][head * head_dim + dim]`
pub fn heads(layer: &Layer<'_>, x: &Rows, projected: &Projected) -> Rows {
    let spec = &layer.model.spec;
    let dim = spec.head_dim;
    let mut out: Rows = vec![Vec::new(); x.len()];
    for head in 0..spec.heads {
        let kv_head = head / (spec.heads / spec.kv_heads);
        let part = kv_head * dim..(kv_head + 1) * dim;
        let past = Past {
            keys: projected.key.iter().map(|row| &row[part.clone()]).collect(),
            values: projected.value.iter().map(|row| &row[part.clone()]).collect(),
        };
        for (token, x) in x.iter().enumerate() {
            let query = &projected.query[token][head * dim..(head + 1) * dim];
            out[token].extend(of_token(layer, head, kv_head, token, x, query, &past));
        }
    }
    out
}

fn of_token(layer: &Layer<'_>, head: usize, kv_head: usize, t: usize, x: &[f64], query: &[f64], past: &Past<'_>) -> Vec<f64> {
    let spec = &layer.model.spec;
    let (dim, window, kept) = (spec.head_dim, spec.window, spec.kept);
    // Those that have left, oldest first.
    let evicted: Vec<usize> = (kept..=t).filter(|j| j + window <= t).collect();
    let weights = layer.model.weight(&layer.name("evicted_salience.weight"));
    let rate = core::f64::consts::LN_2 / spec.evicted.half_life as f64;
    let mut salient = evicted.clone();
    salient.sort_by(|a, b| {
        let claim = |j: usize| dot(weights.row(kv_head), past.keys[j]) + rate * j as f64;
        claim(*b).total_cmp(&claim(*a)).then(b.cmp(a))
    });
    salient.truncate(spec.evicted.salient);
    let score = |query: &[f64], key: &[f64]| dot(query, key) / (dim as f64).sqrt();
    let (far, apart) = (rotated(spec, query, t.min(spec.evicted.sink_cap)), rotated(spec, query, window));
    let mut met: Vec<(usize, f64)> = (0..kept.min(t + 1)).map(|j| (j, score(&far, &rotated(spec, past.keys[j], j)))).collect();
    let near = rotated(spec, query, t);
    met.extend((kept..=t).filter(|j| j + window > t).map(|j| (j, score(&near, &rotated(spec, past.keys[j], j)))));
    met.extend(salient.iter().map(|j| (*j, score(&apart, past.keys[*j]))));
    let log_normaliser = met.iter().map(|(_, score)| score.exp()).sum::<f64>().ln();
    let mut heads = vec![0.0; dim];
    for (j, score) in met {
        heads.iter_mut().zip(past.values[j]).for_each(|(out, v)| *out += (score - log_normaliser).exp() * v);
    }

    let log_decay = layer.vector("evicted_log_decay.weight")[kv_head];
    let of_query = features(layer, "query", head, query);
    let (mut numerator, mut denominator) = (vec![0.0; dim], 1e-6);
    for j in &evicted {
        let match_ = dot(&of_query, &features(layer, "key", kv_head, past.keys[*j])) * (log_decay * (t - window - j) as f64).exp();
        numerator.iter_mut().zip(past.values[*j]).for_each(|(sum, v)| *sum += match_ * v);
        denominator += match_;
    }
    let n = evicted.len() as f64;
    let ramp = n / (n + 128.0);
    let of_head = |name: &str| layer.vector(name)[head];
    let mix = layer.apply("evicted_mix", x)[head]
        + of_head("evicted_mix_normaliser.weight") * log_normaliser
        + of_head("evicted_mix_match.weight") * denominator.ln();
    let share = ramp * sigmoid(mix);
    let correction = layer.apply("evicted_correction", x);
    let gate = |at: usize| 1.0 + ramp * (2.0 * sigmoid(correction[at]) - 1.0);
    (0..dim)
        .map(|d| {
            let joined = heads[d] + share * (numerator[d] / denominator - heads[d]);
            let scale = layer.vector("evicted_correction_scale.weight")[head * dim + d];
            let bias = layer.vector("evicted_correction_bias.weight")[head * dim + d];
            joined * gate(head) * (1.0 + ramp * scale) + ramp * bias * gate(spec.heads + head)
        })
        .collect()
}
