//! A state saved anywhere and loaded again goes on as if nothing had happened.

use crate::support::models::{ModelSpec, build, catalogue};
use crate::support::random::Random;
use crate::support::running::{KV_TYPES, Runner, bits};
use spikingbrain_engine::Error;
use spikingbrain_engine::state::KvType;

/// Positions at which a state is saved, from nothing to a few pages.
const POSITIONS: usize = 100;

#[test]
fn saving_and_loading_at_every_position_continues_bit_identically() {
    for kind in KV_TYPES {
        for (name, spec) in catalogue() {
            let mut runner = Runner::new(&build(&spec).bytes(), kind);
            let tokens = Random::new(11).tokens(POSITIONS + 40, spec.vocabulary);
            let mut state = runner.state();
            for position in 0..=POSITIONS {
                let saved = runner.save(&state);
                let mut loaded = runner.load_state(&saved).unwrap();
                assert_eq!(loaded.position(), state.position());
                assert_eq!(loaded.bytes(), state.bytes(), "{name}, {kind:?}: size at {position}");
                assert_eq!(runner.save(&loaded), saved, "{name}, {kind:?}: saved again at {position}");
                // A long look ahead from here, in one pass and in single tokens, on both.
                let mut uninterrupted = state.fork().unwrap();
                let ahead = &tokens[position..position + 36];
                let (expected, found) = (runner.read(&mut uninterrupted, ahead, &[34, 1]), runner.read(&mut loaded, ahead, &[34, 1]));
                assert_eq!(bits(&expected), bits(&found), "{name}, {kind:?}: logits from {position}");
                assert_eq!(runner.save(&uninterrupted), runner.save(&loaded), "{name}, {kind:?}: state from {position}");
                runner.pass(&mut state, &tokens[position..=position]);
            }
        }
    }
}

#[test]
fn a_state_of_another_model_or_type_is_refused_by_name() {
    let spec = ModelSpec::default();
    let mut runner = Runner::new(&build(&spec).bytes(), KvType::F32);
    let (_, saved) = runner.fresh(&[1, 2, 3], &[64]);
    let refused = |runner: &Runner, bytes: &[u8], named: &str| match runner.load_state(bytes) {
        Err(Error::InvalidState(message)) => assert!(message.contains(named), "'{message}' does not name '{named}'"),
        other => panic!("{other:?} where InvalidState naming '{named}' was due"),
    };
    refused(&Runner::new(&build(&spec).bytes(), KvType::Int8), &saved, "type");
    let other = ModelSpec { window: spec.window + 1, ..spec.clone() };
    refused(
        &Runner::new(&build(&ModelSpec { layers: vec![("window", "dense"); 2], ..other }).bytes(), KvType::F32),
        &saved,
        "another shape",
    );
    refused(&runner, b"", "ends");
    refused(&runner, b"GGUF", "SBST");
    let mut changed = saved.clone();
    changed[4] = 9;
    refused(&runner, &changed, "version is 9");
    changed = saved.clone();
    changed.push(0);
    refused(&runner, &changed, "1 bytes follow");
    changed = saved.clone();
    changed[44..52].copy_from_slice(&u64::MAX.to_le_bytes());
    refused(&runner, &changed, "position");
    changed = saved.clone();
    changed[44..52].copy_from_slice(&(1u64 << 29).to_le_bytes());
    refused(&runner, &changed, "page");
    changed = saved;
    let end = changed.len();
    changed[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    refused(&runner, &changed, "not finite");
}

#[test]
fn a_window_far_into_a_text_costs_what_a_near_one_costs() {
    let spec = ModelSpec { layers: vec![("window", "dense")], window: 40, ..ModelSpec::default() };
    let mut runner = Runner::new(&build(&spec).bytes(), KvType::F32);
    let (_, near) = runner.fresh(&Random::new(1).tokens(96, spec.vocabulary), &[64]);
    // The same pages, moved by whole pages: what a window's snapshot holds does not tell where they lie.
    let mut far = near.clone();
    far[44..52].copy_from_slice(&((1u64 << 30) - 64).to_le_bytes());
    let mut quickest = |saved: &[u8]| {
        let mut state = runner.load_state(saved).unwrap();
        let times = (0..20).map(|token| {
            let start = std::time::Instant::now();
            runner.pass(&mut state, &[token]);
            start.elapsed()
        });
        times.min().unwrap().as_secs_f64()
    };
    let (near, far) = (quickest(&near), quickest(&far));
    assert!(far < 20.0 * near, "a token takes {far} s far into a text and {near} s near its start");
}
