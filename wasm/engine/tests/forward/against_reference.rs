//! Logits equal the plain reference's.

use crate::support::models::catalogue::in_blocks;
use crate::support::models::{GateForm, ModelSpec, build, catalogue};
use crate::support::random::Random;
use crate::support::reference;
use crate::support::running::{Runner, error};
use spikingbrain_engine::state::KvType;
use spikingbrain_engine::weights::TensorType;

/// What f32 sums in another order may differ by.
pub const CLOSE: f64 = 1e-4;
/// What rounding activations, or keys and values, to int8 may cost: one step is 1/254 of the largest value around.
const NEAR: f64 = 0.04;

/// The engine's error on `count` random tokens, read in passes of `sizes`.
pub fn error_of(spec: &ModelSpec, kind: KvType, count: usize, sizes: &[usize]) -> f64 {
    let model = build(spec);
    let tokens = Random::new(count as u64).tokens(count, spec.vocabulary);
    let mut runner = Runner::new(&model.bytes(), kind);
    let (logits, _) = runner.fresh(&tokens, sizes);
    error(&logits, &reference::logits(&model, &tokens))
}

fn check(name: &str, spec: &ModelSpec, kind: KvType, count: usize, sizes: &[usize], tolerance: f64) {
    let error = error_of(spec, kind, count, sizes);
    assert!(
        error <= tolerance,
        "{name}, {count} tokens in passes of {sizes:?}: off by {error:.2e} of the logits; {tolerance:.0e} is allowed"
    );
}

#[test]
fn every_form_equals_the_reference_at_odd_lengths() {
    for (name, spec) in catalogue() {
        for count in [1, 31, 32, 33, 63, 64, 65, 130] {
            check(name, &spec, KvType::F32, count, &[64], CLOSE);
        }
    }
}

#[test]
fn every_form_equals_the_reference_token_by_token() {
    for (name, spec) in catalogue() {
        check(name, &spec, KvType::F32, 70, &[1], CLOSE);
        check(name, &spec, KvType::F32, 130, &[33, 1, 1, 40], CLOSE);
    }
}

#[test]
fn windows_of_any_width_equal_the_reference() {
    for (window, kept) in [(1, 0), (2, 0), (31, 2), (32, 0), (33, 31), (64, 32), (65, 33), (96, 70), (200, 1)] {
        let spec = ModelSpec { layers: vec![("window", "dense"), ("window", "dense")], window, kept, ..ModelSpec::default() };
        check(&format!("window {window}, kept {kept}"), &spec, KvType::F32, 230, &[64, 7], CLOSE);
    }
}

#[test]
fn learned_sinks_of_any_count_equal_the_reference() {
    for (sinks, window) in [(1, 5), (31, 32), (32, 33), (33, 1), (70, 40), (128, 16)] {
        let spec = ModelSpec {
            layers: vec![("linear+window", "dense"), ("linear+full", "dense")],
            sigmoid_map: true,
            gate: GateForm::OneMinusKey,
            sinks,
            window,
            ..ModelSpec::default()
        };
        check(&format!("{sinks} sinks, window {window}"), &spec, KvType::F32, 70, &[64], CLOSE);
    }
}

#[test]
fn head_widths_and_groups_of_any_kind_equal_the_reference() {
    for (heads, kv_heads, head_dim) in [(1, 1, 2), (7, 1, 6), (5, 5, 10), (28, 4, 2), (9, 3, 14), (2, 1, 34), (2, 2, 64)] {
        let spec = ModelSpec {
            heads,
            kv_heads,
            head_dim,
            rope_dim: head_dim,
            layers: vec![("linear", "dense"), ("window", "dense"), ("linear+full", "dense")],
            ..ModelSpec::default()
        };
        check(&format!("{heads} heads of {head_dim}, {kv_heads} KV"), &spec, KvType::F32, 70, &[64], CLOSE);
    }
}

#[test]
fn widths_that_no_lane_divides_equal_the_reference() {
    for (hidden, inner, vocabulary) in [(2, 1, 1), (3, 5, 7), (9, 33, 65), (33, 3, 38), (50, 2, 39)] {
        let spec = ModelSpec {
            hidden,
            inner,
            vocabulary,
            layers: vec![("linear", "dense"), ("full", "dense")],
            gate: GateForm::LowRank(1),
            biases: true,
            ..ModelSpec::default()
        };
        check(&format!("width {hidden}, {inner}, {vocabulary}"), &spec, KvType::F32, 40, &[64], CLOSE);
    }
}

#[test]
fn gates_nearly_closed_and_nearly_open_stay_exact() {
    for gate_bias in [-3_000.0, -200.0, -60.0, -9.0, 9.0, 60.0, 3_000.0] {
        for gate_normalizer in [1.0, 16.0] {
            let spec = ModelSpec {
                layers: vec![("linear", "dense"), ("linear", "dense")],
                gate: GateForm::Merged,
                gate_bias,
                gate_normalizer,
                ..ModelSpec::default()
            };
            check(&format!("gate bias {gate_bias} / {gate_normalizer}"), &spec, KvType::F32, 130, &[64], CLOSE);
        }
    }
}

#[test]
fn keys_that_close_the_tied_gate_stay_exact() {
    // Large biases drive sigmoid keys to 0 and 1, so that 1 - k is 1 and 0.
    let mut model = build(&ModelSpec {
        layers: vec![("linear", "dense"), ("linear+full", "dense")],
        sigmoid_map: true,
        gate: GateForm::OneMinusKey,
        biases: true,
        ..ModelSpec::default()
    });
    for name in ["blk.0.attn_k.bias", "blk.1.attn_k.bias"] {
        let values: Vec<f32> = (0..12).map(|i| [-80.0, 80.0, 15.0, -15.0, 0.0, 30.0][i % 6]).collect();
        for tensor in model.tensors.iter_mut().filter(|tensor| tensor.name == name) {
            tensor.bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        }
        model.weights.get_mut(name).unwrap().values = values.iter().map(|x| f64::from(*x)).collect();
    }
    let tokens = Random::new(9).tokens(100, model.spec.vocabulary);
    let reference = reference::logits(&model, &tokens);
    for sizes in [[64], [1]] {
        let (logits, _) = Runner::new(&model.bytes(), KvType::F32).fresh(&tokens, &sizes);
        let error = error(&logits, &reference);
        assert!(error <= CLOSE, "passes of {sizes:?}: off by {error:.2e}");
    }
}

#[test]
fn half_precision_weights_equal_the_reference_on_the_same_weights() {
    for kind in [TensorType::F16, TensorType::Bf16] {
        for (name, spec) in catalogue() {
            check(&format!("{name} in {kind:?}"), &ModelSpec { kind, ..spec }, KvType::F32, 65, &[64], CLOSE);
        }
    }
}

#[test]
fn quantised_weights_are_near_the_reference_on_the_same_weights() {
    for kind in [TensorType::Q8_0, TensorType::Q4_0, TensorType::Q4_1] {
        for (name, spec) in catalogue() {
            let spec = ModelSpec { lowest_codes: true, ..in_blocks(&spec, kind) };
            check(&format!("{name} in {kind:?}"), &spec, KvType::F32, 65, &[64], NEAR);
        }
    }
}

#[test]
fn int8_keys_and_values_are_near_the_reference() {
    for (name, spec) in catalogue() {
        let spec = ModelSpec { experts: in_blocks(&spec, TensorType::F32).experts, ..spec };
        check(name, &spec, KvType::Int8, 65, &[64], NEAR);
    }
}
