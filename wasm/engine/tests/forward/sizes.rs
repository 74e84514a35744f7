//! Admission is by bytes, so the bytes a state is said to take must never be too few, and must stop growing where a state does.

use crate::support::models::{ModelSpec, build, catalogue};
use crate::support::random::Random;
use crate::support::running::{KV_TYPES, Runner};
use spikingbrain_engine::state::State;

#[test]
fn a_state_never_takes_more_than_it_was_said_to() {
    for kind in KV_TYPES {
        for (name, spec) in catalogue() {
            for step in [1, 7, 64] {
                let mut runner = Runner::new(&build(&spec).bytes(), kind);
                let tokens = Random::new(3).tokens(260, spec.vocabulary);
                let mut state = runner.state();
                for part in tokens.chunks(step) {
                    runner.pass(&mut state, part);
                    let bound = State::bytes_at(runner.model.config(), kind, state.position(), step);
                    assert!(
                        state.bytes() <= bound,
                        "{name}, {kind:?}, by {step} at {}: {} bytes, {bound} said",
                        state.position(),
                        state.bytes()
                    );
                }
            }
        }
    }
}

#[test]
fn linear_and_window_states_stop_growing() {
    for kind in KV_TYPES {
        for (layers, kept) in
            [(vec![("linear", "dense")], 0), (vec![("window", "dense"), ("linear", "dense")], 0), (vec![("linear+window", "dense")], 35)]
        {
            let spec = ModelSpec { layers, kept, window: 40, ..ModelSpec::default() };
            let mut runner = Runner::new(&build(&spec).bytes(), kind);
            let tokens = Random::new(3).tokens(640, spec.vocabulary);
            let mut state = runner.state();
            let mut largest = [0; 2];
            for (index, token) in tokens.iter().enumerate() {
                runner.pass(&mut state, &[*token]);
                let half = usize::from(index >= 320);
                largest[half] = largest[half].max(state.bytes());
            }
            assert_eq!(largest[0], largest[1], "{:?} still grows", spec.layers);
            let said = |position| State::bytes_at(runner.model.config(), kind, position, 64);
            assert_eq!(said(320), said(1 << 30), "{:?}", spec.layers);
        }
    }
}

#[test]
fn a_full_state_grows_by_its_pages_alone() {
    for kind in KV_TYPES {
        let mut runner = Runner::new(&build(&ModelSpec::default()).bytes(), kind);
        let mut state = runner.state();
        assert_eq!(state.bytes(), 0);
        runner.pass(&mut state, &[1]);
        let page = state.bytes();
        runner.pass(&mut state, &[2; 31]);
        assert_eq!(state.bytes(), page);
        runner.pass(&mut state, &[3]);
        assert_eq!(state.bytes(), 2 * page);
        assert_eq!(State::bytes_at(runner.model.config(), kind, 33, 64), 2 * page);
    }
}
