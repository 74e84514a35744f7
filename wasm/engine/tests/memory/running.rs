//! A step takes its state's growth and little else; forks, saving and refusals take what they are said to.

use crate::support::models::{ModelSpec, build, catalogue};
use crate::support::random::Random;
use crate::support::running::{Runner, StateFiles, load};
use crate::support::tracking::{live_bytes, peak_of, refusing, taken_by};
use spikingbrain_engine::engine::SequenceId;
use spikingbrain_engine::sample::Sampling;
use spikingbrain_engine::state::{KvType, SaveMode, State};
use spikingbrain_engine::{Engine, Error, SequenceOptions};

/// A form of the catalogue so wide that a forgotten buffer of a pass, 64 rows of its width, would show.
fn wide(spec: &ModelSpec) -> ModelSpec {
    ModelSpec { hidden: 256, head_dim: 64, rope_dim: 64, inner: 300, vocabulary: 500, ..spec.clone() }
}

/// Small things: a page's or a step's lists, a token's candidates.
const SMALL_BYTES: usize = 24 << 10;
/// Full pages that are put side by side: for a moment they are there twice.
const JOINED_BYTES: usize = 112 << 10;

fn options() -> SequenceOptions {
    let sampling = Sampling { temperature: 1.0, top_p: 0.9, top_logprobs: Some(3), ..Sampling::default() };
    SequenceOptions { sampling, prompt_logprobs: Some(1), ..SequenceOptions::default() }
}

/// Every form with keys and values as computed, and one with codes: beside attention, nothing depends on that.
fn cases() -> impl Iterator<Item = (KvType, &'static str, ModelSpec)> {
    let codes = catalogue().into_iter().take(1).map(|(name, spec)| (KvType::Int8, name, wide(&spec)));
    catalogue().into_iter().map(|(name, spec)| (KvType::F32, name, wide(&spec))).chain(codes)
}

#[test]
fn a_step_takes_its_growth_and_little_else() {
    for (kind, name, spec) in cases() {
        let mut engine = Engine::new(load(&build(&spec).bytes()), kind, None).unwrap();
        let id = engine.open(options()).unwrap();
        engine.feed(id, &Random::new(1).tokens(200, 500)).unwrap();
        for count in [1, 63, 64, 70, 2] {
            let before = live_bytes();
            let (result, peak) = peak_of(|| engine.step(&[(id, count)]));
            result.unwrap();
            engine.take_prompt_logprobs(id).unwrap();
            let grown = live_bytes().saturating_sub(before);
            // A window holds what has just left it until its layer is over: the pages of a pass.
            let windowed = spec.layers.iter().any(|(mixer, _)| mixer.contains("window") || *mixer == "evicted");
            let passing = usize::from(windowed) * 3 * 32 * spec.kv_heads * spec.head_dim * 8;
            assert!(
                peak <= grown + passing + JOINED_BYTES + SMALL_BYTES,
                "{name}, {kind:?}: {peak} bytes for {count} tokens and {grown} of growth"
            );
        }
    }
}

#[test]
fn a_token_that_is_decoded_takes_nothing_but_a_page_of_its_state() {
    for (kind, name, spec) in cases() {
        let mut engine = Engine::new(load(&build(&spec).bytes()), kind, None).unwrap();
        let ids = [1, 2, 3].map(|seed| {
            let id = engine.open(SequenceOptions::default()).unwrap();
            engine.feed(id, &Random::new(seed).tokens(70, 500)).unwrap();
            engine.step(&[(id, 70)]).unwrap();
            id
        });
        let mut decode = |ids: &[SequenceId]| {
            let plan: Vec<_> = ids.iter().map(|id| (*id, 1)).collect();
            let ((), taken) = taken_by(|| {
                for id in ids {
                    engine.sample(*id).unwrap();
                }
                engine.step(&plan).unwrap();
            });
            taken
        };
        // The tokens' lists grow with the first of these; the 97th token of a text begins a page.
        for _ in 70..98 {
            decode(&ids);
        }
        for at in 98..108 {
            // The first sequence goes two tokens on, and reaches no page either.
            assert_eq!((decode(&ids), decode(&ids[..1])), (0, 0), "{name}, {kind:?}: bytes for the tokens at {at}");
        }
    }
}

#[test]
fn the_limit_is_never_exceeded() {
    for (kind, name, spec) in cases() {
        let model = load(&build(&spec).bytes());
        // One sequence's state at the most, and what the engine keeps back.
        let limit = live_bytes() + (4 << 20);
        let mut engine = Engine::new(model, kind, Some((limit, live_bytes))).unwrap();
        let free = limit - live_bytes();
        let ((), peak) = peak_of(|| {
            let id = engine.open(options()).unwrap();
            engine.feed(id, &Random::new(1).tokens(45, 500)).unwrap();
            engine.step(&[(id, 45)]).unwrap();
            // Forks read on, each a token less than a page, until one of the two is refused.
            let mut left = 2_000;
            loop {
                let outcome = engine.fork(id).and_then(|fork| {
                    engine.feed(fork, &[1; 31])?;
                    engine.step(&[(fork, 1)])
                });
                match outcome {
                    Ok(()) => {}
                    Err(Error::OutOfMemory { needed, free, .. }) => break assert!(needed > free, "{needed} of {free}"),
                    Err(error) => panic!("{name}, {kind:?}: {error}"),
                }
                left -= 1;
                assert!(left > 0, "{name}, {kind:?}: nothing was refused");
            }
        });
        assert!(peak <= free, "{name}, {kind:?}: {} bytes over the limit", peak - free);
        assert!(peak >= free / 4, "{name}, {kind:?}: refused with {} of {free} bytes free", free - peak);
    }
}

#[test]
fn a_fork_takes_what_it_is_said_to() {
    for (kind, name, spec) in cases() {
        let mut runner = Runner::new(&build(&spec).bytes(), kind);
        // Once through, so that the buffers of a pass are there.
        runner.fresh(&Random::new(1).tokens(90, 500), &[64]);
        for count in [0, 45, 64] {
            let mut state = runner.state();
            runner.read(&mut state, &Random::new(1).tokens(count, 500), &[64]);
            let before = live_bytes();
            let mut fork = state.fork().unwrap();
            let (taken, said) = (live_bytes() - before, state.fork_bytes());
            assert!((said..=said + 4_096).contains(&taken), "{name}, {kind:?} at {count}: {taken} bytes, {said} said");
            // Writing on takes no more than where nothing was forked: nothing is copied late. So few tokens that no window drops a page.
            let mut grown = |state: &mut State| {
                let before = live_bytes() as isize;
                runner.read(state, &Random::new(2).tokens(5, 500), &[5]);
                live_bytes() as isize - before
            };
            let (by_fork, by_original) = (grown(&mut fork), grown(&mut state));
            assert!((by_fork - by_original).abs() <= 4_096, "{name}, {kind:?} at {count}: {by_fork} and {by_original} bytes");
        }
    }
}

#[test]
fn saving_in_parts_does_not_take_the_state_again() {
    let spec = ModelSpec { layers: vec![("full", "dense"), ("linear", "dense")], ..ModelSpec::default() };
    let mut engine = Engine::new(load(&build(&wide(&spec)).bytes()), KvType::F32, None).unwrap();
    let id = engine.open(options()).unwrap();
    engine.feed(id, &Random::new(1).tokens(400, 500)).unwrap();
    engine.step(&[(id, 400)]).unwrap();
    let empty = engine.open(options()).unwrap();
    let expected = engine.save(id).unwrap();
    let (length, peak) = peak_of(|| {
        engine.begin_save(id, 0, SaveMode::default()).unwrap();
        let mut length = 0;
        while engine.saved_left(id).unwrap() > 0 {
            length += engine.read_saved(id, 1 << 20).unwrap().len();
        }
        engine.end_save(id).unwrap();
        length
    });
    assert_eq!(length, expected.len());
    assert!(peak <= SMALL_BYTES, "{peak} bytes to save {length}");
    let said = engine.sequence_bytes(id).unwrap();
    let (_, peak) = peak_of(|| engine.restore(empty, &expected, &[]).unwrap());
    assert!(peak <= said + JOINED_BYTES + SMALL_BYTES, "{peak} bytes to restore {said}");
}

#[test]
fn an_allocator_that_fails_all_the_same_costs_no_token() {
    let file = build(&wide(&ModelSpec::default())).bytes();
    let prompt = Random::new(1).tokens(90, 500);
    let run = |failing: bool| {
        let mut engine = Engine::new(load(&file), KvType::F32, None).unwrap();
        let ids: Vec<u32> = (0..2).map(|_| engine.open(options()).unwrap()).collect();
        for id in &ids {
            engine.feed(*id, &prompt).unwrap();
        }
        engine.step(&[(ids[0], 40), (ids[1], 7)]).unwrap();
        if failing {
            let plan = [(ids[0], 50), (ids[1], 83)];
            let error = refusing(8 << 10, || engine.step(&plan)).unwrap_err();
            assert!(matches!(error, Error::OutOfMemory { what: "a page of keys and values", .. }), "{error}");
            assert!(refusing(8 << 10, || engine.fork(ids[0])).is_ok(), "nothing is left that a fork would copy");
            assert_eq!((engine.pending(ids[0]).unwrap(), engine.pending(ids[1]).unwrap()), (90, 90));
        }
        let mut sampled = Vec::new();
        for _ in 0..5 {
            for id in &ids {
                let pending = engine.pending(*id).unwrap();
                engine.step(&[(*id, pending)]).unwrap();
                sampled.push(engine.sample(*id).unwrap());
            }
        }
        sampled
    };
    assert_eq!(run(false), run(true));
}

#[test]
fn a_restored_state_that_an_allocator_costs_is_lost_by_name() {
    let mut engine = Engine::new(load(&build(&wide(&ModelSpec::default())).bytes()), KvType::F32, None).unwrap();
    let (id, restored) = (engine.open(options()).unwrap(), engine.open(options()).unwrap());
    engine.feed(id, &Random::new(1).tokens(31, 500)).unwrap();
    engine.step(&[(id, 31)]).unwrap();
    let file = engine.save(id).unwrap();
    engine.restore(restored, &file, &[]).unwrap();
    engine.feed(restored, &[1; 40]).unwrap();
    assert!(matches!(refusing(8 << 10, || engine.step(&[(restored, 40)])), Err(Error::OutOfMemory { .. })));
    assert_eq!((engine.sequence_bytes(restored).unwrap(), engine.pending(restored).unwrap()), (0, 40));
    for outcome in [engine.step(&[(restored, 1)]), engine.begin_save(restored, 0, SaveMode::default()).map(|_| ())] {
        assert!(matches!(&outcome, Err(Error::StateLost(message)) if message.contains("first 31 tokens")), "{outcome:?}");
    }
}

#[test]
fn a_fork_or_saving_that_the_allocator_refuses_changes_nothing() {
    let spec = ModelSpec { layers: vec![("linear", "dense"), ("full", "dense")], ..ModelSpec::default() };
    let mut engine = Engine::new(load(&build(&wide(&spec)).bytes()), KvType::F32, None).unwrap();
    let prompt = Random::new(1).tokens(40, 500);
    let (id, empty) = (engine.open(options()).unwrap(), engine.open(options()).unwrap());
    engine.feed(id, &prompt).unwrap();
    engine.step(&[(id, 40)]).unwrap();
    let saved = engine.save(id).unwrap();
    assert!(matches!(refusing(8 << 10, || engine.fork(id)), Err(Error::OutOfMemory { .. })));
    assert!(matches!(refusing(8 << 10, || engine.restore(empty, &saved, &prompt)), Err(Error::OutOfMemory { .. })));
    assert!(matches!(refusing(8 << 10, || engine.begin_save(id, 0, SaveMode::default())), Err(Error::OutOfMemory { .. })));
    assert_eq!(engine.save(id).unwrap(), saved);
    engine.restore(empty, &saved, &prompt).unwrap();
    assert_eq!(engine.save(empty).unwrap(), saved);
}
