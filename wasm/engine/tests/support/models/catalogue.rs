//! The forms of models that every suite runs through.

use super::{EvictedSpec, ExpertSpec, GateForm, ModelSpec};
use spikingbrain_engine::weights::TensorType;

/// The forms the issue names, small: what every suite runs through.
pub fn catalogue() -> Vec<(&'static str, ModelSpec)> {
    let base = ModelSpec::default();
    let parallel = ModelSpec {
        sigmoid_map: true,
        gate: GateForm::OneMinusKey,
        layers: vec![("linear+window", "dense"), ("linear+full", "moe")],
        experts: Some(ExpertSpec { count: 6, used: 1, inner: 12, shared_inner: 10, sigmoid: true, normalised: false }),
        sinks: 5,
        window: 20,
        ..base.clone()
    };
    vec![
        ("llama", ModelSpec { architecture: "llama", tied: true, heads: 6, kv_heads: 3, head_dim: 10, rope_dim: 10, ..base.clone() }),
        ("qwen2", ModelSpec { architecture: "qwen2", biases: true, rope_theta: 1_000_000.0, seed: 2, ..base.clone() }),
        (
            "7B, low-rank gate",
            ModelSpec {
                layers: vec![("linear", "dense"), ("window", "dense"), ("linear", "dense")],
                biases: true,
                window: 33,
                seed: 3,
                ..base.clone()
            },
        ),
        (
            "7B, merged gate",
            ModelSpec {
                layers: vec![("linear", "dense"), ("window", "dense")],
                gate: GateForm::Merged,
                heads: 3,
                kv_heads: 1,
                window: 7,
                seed: 4,
                ..base.clone()
            },
        ),
        ("76B, shared projections", ModelSpec { seed: 5, ..parallel.clone() }),
        (
            "76B, separate projections",
            ModelSpec {
                separate: true,
                biases: true,
                head_norm: false,
                experts: parallel.experts.map(|experts| ExpertSpec {
                    used: 2,
                    sigmoid: false,
                    normalised: true,
                    shared_inner: 0,
                    ..experts
                }),
                sinks: 40,
                kv_heads: 4,
                seed: 6,
                ..parallel
            },
        ),
        (
            "window with kept tokens",
            ModelSpec {
                layers: vec![("window", "dense"), ("full", "dense"), ("window", "dense")],
                kept: 3,
                window: 9,
                rope_dim: 4,
                seed: 7,
                ..base.clone()
            },
        ),
        (
            "evicted tokens",
            ModelSpec {
                layers: vec![("evicted", "dense"), ("full", "dense"), ("evicted", "dense")],
                evicted: EvictedSpec { sink_cap: 40, salient: 35, half_life: 50 },
                kept: 3,
                window: 20,
                seed: 8,
                ..base.clone()
            },
        ),
        (
            "evicted tokens alone",
            ModelSpec { layers: vec![("evicted", "dense")], heads: 3, kv_heads: 1, head_dim: 10, rope_dim: 8, window: 9, seed: 9, ..base },
        ),
    ]
}

/// A form of the catalogue in sizes that blocks of 32 divide.
pub fn in_blocks(spec: &ModelSpec, kind: TensorType) -> ModelSpec {
    ModelSpec {
        kind,
        hidden: 96,
        heads: 4,
        kv_heads: 2,
        head_dim: 16,
        rope_dim: 16,
        inner: 128,
        gate: match spec.gate {
            GateForm::LowRank(_) => GateForm::LowRank(32),
            other => other,
        },
        experts: spec.experts.map(|experts| ExpertSpec {
            inner: 32,
            shared_inner: experts.shared_inner.min(1) * 64,
            // A near tie between experts would tell a rounding from an error no longer.
            used: experts.count,
            ..experts
        }),
        // As would one between salient tokens.
        evicted: EvictedSpec { salient: 1_000, ..spec.evicted },
        ..spec.clone()
    }
}
