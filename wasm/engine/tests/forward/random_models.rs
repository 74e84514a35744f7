//! Models nobody thought of: random configs, lengths and cuts, shrunk to the smallest that fails.

use super::against_reference::{CLOSE, error_of};
use crate::support::models::{ExpertSpec, GateForm, ModelSpec};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use spikingbrain_engine::state::KvType;

const MIXERS: [&str; 5] = ["linear", "window", "full", "linear+window", "linear+full"];

fn experts() -> impl Strategy<Value = ExpertSpec> {
    (1usize..7, 0usize..7, 1usize..4, 0usize..9, any::<bool>(), any::<bool>()).prop_map(
        |(count, used, inner, shared_inner, sigmoid, normalised)| ExpertSpec {
            count,
            used: used % count + 1,
            inner: inner * 4,
            shared_inner,
            sigmoid,
            normalised,
        },
    )
}

fn layers() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    prop::collection::vec((prop::sample::select(&MIXERS[..]), prop::sample::select(&["dense", "moe"][..])), 1..4)
}

fn specs() -> impl Strategy<Value = ModelSpec> {
    let sizes = (1usize..8, 1usize..4, 1usize..4, 1usize..6, 0usize..6, 1usize..30, 1usize..50);
    let sight = (1usize..80, 0usize..3, 1usize..70);
    let gate = prop_oneof![Just(GateForm::Merged), (1usize..5).prop_map(GateForm::LowRank), Just(GateForm::OneMinusKey)];
    let switches = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (sizes, sight, gate, switches, experts(), layers(), any::<u64>()).prop_map(|(sizes, sight, gate, switches, experts, layers, seed)| {
        let (hidden, kv_heads, group, half_dim, half_rope, inner, vocabulary) = sizes;
        let (window, kind, kept) = sight;
        let (separate, sigmoid_map, head_norm, biases, tied) = switches;
        ModelSpec {
            hidden: hidden * 4,
            heads: kv_heads * group,
            kv_heads,
            head_dim: half_dim * 2,
            rope_dim: half_rope.min(half_dim) * 2,
            inner,
            vocabulary,
            window,
            sinks: if kind == 1 { kept } else { 0 },
            kept: if kind == 2 { kept } else { 0 },
            separate,
            // 1 - relu(k) is no decay; the tied gate is the sigmoid map's.
            sigmoid_map: sigmoid_map || gate == GateForm::OneMinusKey,
            gate,
            head_norm,
            experts: Some(experts),
            biases,
            tied,
            layers,
            seed,
            ..ModelSpec::default()
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, rng_seed: RngSeed::Fixed(96), ..ProptestConfig::default() })]

    #[test]
    fn any_model_equals_the_reference(spec in specs(), count in 1usize..110, first in 1usize..65, second in 1usize..65) {
        let error = error_of(&spec, KvType::F32, count, &[first, second]);
        // Single-token cases have no crowd for a nearly cancelled head to drown in.
        prop_assert!(error <= 10.0 * CLOSE, "off by {error:.2e}");
    }
}
