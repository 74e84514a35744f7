//! The `evicted` mixer: what it is before anything has left its window, far into a text, and beside the reference.

use super::against_reference::{CLOSE, error_of};
use crate::support::models::{EvictedSpec, ModelSpec, build};
use crate::support::random::Random;
use crate::support::running::{KV_TYPES, Runner, bits, engine};
use spikingbrain_engine::state::KvType;
use spikingbrain_engine::{Error, SequenceOptions};

fn evicted() -> ModelSpec {
    ModelSpec { layers: vec![("evicted", "dense"); 2], window: 40, kept: 2, ..ModelSpec::default() }
}

#[test]
fn windows_caps_and_slots_of_any_number_equal_the_reference() {
    for (window, kept, sink_cap, salient, half_life) in [
        (1, 0, 0, 1, 1),
        (1, 3, 2, 40, 9),
        (31, 2, 33, 32, 20),
        (32, 32, 64, 33, 1_000),
        (33, 40, 10, 7, 5),
        (64, 0, 64, 64, 100),
        (200, 1, 300, 5, 50),
    ] {
        let evicted = EvictedSpec { sink_cap, salient, half_life };
        let spec = ModelSpec { layers: vec![("evicted", "dense"), ("evicted", "dense")], window, kept, evicted, ..ModelSpec::default() };
        let error = error_of(&spec, KvType::F32, 230, &[64, 7]);
        assert!(error <= CLOSE, "window {window}, kept {kept}, {evicted:?}: off by {error:.2e}");
    }
}

#[test]
fn heads_and_groups_of_any_kind_equal_the_reference() {
    for (heads, kv_heads, head_dim, rope_dim) in [(1, 1, 2, 2), (7, 1, 6, 0), (5, 5, 10, 10), (28, 4, 2, 2), (9, 3, 14, 8), (2, 1, 34, 34)]
    {
        let spec = ModelSpec { heads, kv_heads, head_dim, rope_dim, window: 11, ..evicted() };
        let error = error_of(&spec, KvType::F32, 90, &[64]);
        assert!(error <= CLOSE, "{heads} heads of {head_dim}, {kv_heads} KV: off by {error:.2e}");
    }
}

#[test]
fn before_anything_has_left_it_is_the_window_to_the_bit() {
    for kind in KV_TYPES {
        let spec = ModelSpec { window: 60, kept: 5, evicted: EvictedSpec { sink_cap: 70, salient: 6, half_life: 9 }, ..evicted() };
        // The same weights without what the mixer adds.
        let mut plain = build(&spec);
        plain.tensors.retain(|tensor| !tensor.name.contains("evicted_"));
        plain.set("spikingbrain.layer.mixers", crate::support::gguf_file::Meta::Texts(vec!["window".to_owned(); 2]));
        let tokens = Random::new(2).tokens(75, spec.vocabulary);
        let (found, _) = Runner::new(&build(&spec).bytes(), kind).fresh(&tokens, &[64, 1]);
        let (expected, _) = Runner::new(&plain.bytes(), kind).fresh(&tokens, &[64, 1]);
        let (found, expected) = (bits(&found), bits(&expected));
        // A token has left before the query at position 65.
        assert_eq!(found[..65], expected[..65], "{kind:?}");
        assert_ne!(found[65], expected[65], "{kind:?}");
    }
}

#[test]
fn a_text_may_be_cut_anywhere() {
    for kind in KV_TYPES {
        let mut runner = Runner::new(&build(&evicted()).bytes(), kind);
        let tokens = Random::new(5).tokens(200, evicted().vocabulary);
        let whole = runner.fresh(&tokens, &[64]);
        for sizes in [&[1][..], &[2, 3], &[63, 64, 5]] {
            let cut = runner.fresh(&tokens, sizes);
            assert_eq!(bits(&whole.0), bits(&cut.0), "{kind:?} cut by {sizes:?}");
            assert_eq!(whole.1, cut.1, "{kind:?}, state, cut by {sizes:?}");
        }
    }
}

#[test]
fn the_state_stops_growing_and_holds_the_greatest_claims() {
    let spec = evicted();
    let mut engine = engine(&build(&spec).bytes(), KvType::Int8);
    assert!(engine.model().config().has_constant_state());
    let id = engine.open(SequenceOptions::default()).unwrap();
    assert_eq!(engine.salient_positions(id, 0, 1).unwrap(), Vec::<u32>::new());
    engine.feed(id, &Random::new(3).tokens(600, spec.vocabulary)).unwrap();
    let mut bytes = Vec::new();
    for read in 1..=12 {
        engine.step(&[(id, 50)]).unwrap();
        bytes.push(engine.sequence_bytes(id).unwrap());
        for head in 0..spec.kv_heads {
            let mut positions = engine.salient_positions(id, 1, head).unwrap();
            let left = (read * 50 + 1usize).saturating_sub(spec.window + spec.kept);
            assert_eq!(positions.len(), left.min(spec.evicted.salient));
            positions.sort_unstable();
            positions.dedup();
            assert_eq!(positions.len(), left.min(spec.evicted.salient), "no token twice");
            assert!(positions.iter().all(|position| (spec.kept..spec.kept + left).contains(&(*position as usize))), "{positions:?}");
        }
    }
    // A window lies across a page more or less.
    let page = 32 * spec.kv_heads * (2 * spec.head_dim + 2 + 8) * spec.layers.len();
    assert!(bytes[3..].iter().all(|now| now.abs_diff(bytes[2]) <= page), "{bytes:?}");
    let said = |tokens| engine.state_bytes(tokens);
    assert_eq!(said(320), said(1 << 30));
    for (layer, head) in [(2, 0), (0, 2)] {
        let refused = engine.salient_positions(id, layer, head).unwrap_err();
        assert!(
            matches!(&refused, Error::InvalidArgument(message) if message.contains(&format!("they are {layer} and {head}"))),
            "{refused}"
        );
    }
}

#[test]
fn a_broken_state_is_refused_by_name() {
    let spec = evicted();
    let mut runner = Runner::new(&build(&spec).bytes(), KvType::F32);
    let (_, saved) = runner.fresh(&Random::new(1).tokens(70, spec.vocabulary), &[64]);
    let (dim, heads) = (spec.head_dim, spec.kv_heads);
    // Behind the header with its one group and the sums: the first salient token's position.
    let sums = 136 + 8;
    let at = sums + heads * 2 * dim * (dim + 1) * 4;
    let put = |at: usize, bytes: [u8; 4]| {
        let mut changed = saved.clone();
        changed[at..at + 4].copy_from_slice(&bytes);
        changed
    };
    let refused = |bytes: &[u8], named: &str| match runner.load_state(bytes) {
        Err(Error::InvalidState(message)) => assert!(message.contains(named), "'{message}' does not name '{named}'"),
        other => panic!("{other:?} where InvalidState naming '{named}' was due"),
    };
    refused(&put(at, 1u32.to_le_bytes()), "must be from 2 to 30 and no other's; it is 1");
    refused(&put(at, 31u32.to_le_bytes()), "it is 31");
    let second = at + 8 + dim * 8;
    let first: [u8; 4] = saved[at..at + 4].try_into().unwrap();
    refused(&put(second, first), "no other's");
    refused(&put(at + 4, f32::NAN.to_le_bytes()), "not finite");
    refused(&put(sums, f32::INFINITY.to_le_bytes()), "not finite");
    refused(&saved[..at + 3], "salient tokens");
    refused(&saved[..sums + 3], "sums");
}
