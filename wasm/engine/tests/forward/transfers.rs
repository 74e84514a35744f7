//! Sequences whose states go out and come in, in chunks, while others go on.

use crate::support::models::{ModelSpec, build, catalogue};
use crate::support::random::Random;
use crate::support::running::{StateFiles, engine, load};
use spikingbrain_engine::engine::SequenceId;
use spikingbrain_engine::sample::Sampling;
use spikingbrain_engine::state::{KvType, SaveMode};
use spikingbrain_engine::token_set::TokenSet;
use spikingbrain_engine::{Engine, Error, SequenceOptions};
use std::sync::atomic::{AtomicUsize, Ordering};

fn drawing() -> SequenceOptions {
    let sampling = Sampling {
        temperature: 1.0,
        seed: 5,
        repetition_penalty: 1.3,
        presence_penalty: 0.4,
        frequency_penalty: 0.1,
        min_tokens: 12,
        stop_tokens: vec![3, 4, 5, 6],
        ..Sampling::default()
    };
    SequenceOptions { sampling, ..SequenceOptions::default() }
}

fn read_all(engine: &mut Engine, id: SequenceId) {
    let pending = engine.pending(id).unwrap();
    engine.step(&[(id, pending)]).unwrap();
}

/// Until a stop token, the last one unread.
fn generate(engine: &mut Engine, id: SequenceId, most: usize) -> Vec<u32> {
    let mut tokens = Vec::new();
    while tokens.len() < most {
        if engine.pending(id).unwrap() > 0 {
            read_all(engine, id);
        }
        let sampled = engine.sample(id).unwrap();
        if sampled.stop {
            break;
        }
        tokens.push(sampled.id);
    }
    tokens
}

#[track_caller]
fn refused<T: core::fmt::Debug>(result: Result<T, Error>, code: &str, named: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert!(error.to_string().contains(named), "'{error}' does not name '{named}'");
}

#[test]
fn an_answer_that_was_broken_off_goes_on_with_the_very_tokens() {
    for (name, spec) in catalogue() {
        let bytes = build(&spec).bytes();
        let prompt = Random::new(6).tokens(45, spec.vocabulary);
        let mut first = engine(&bytes, KvType::Int8);
        let whole = first.open(drawing()).unwrap();
        first.feed(whole, &prompt).unwrap();
        let expected = generate(&mut first, whole, 30);
        assert!(expected.len() > 11, "{name}: {} tokens", expected.len());
        for sampled in [1, 7, 11] {
            let mut second = engine(&bytes, KvType::Int8);
            // Without a state, and from states within the prompt: at a whole chunk of linear attention, and at its last token.
            for at in [0, 32, 44] {
                let options = SequenceOptions { continued: sampled, ..drawing() };
                let id = second.open(options).unwrap();
                if at > 0 {
                    let before = second.open(SequenceOptions::default()).unwrap();
                    second.feed(before, &prompt).unwrap();
                    second.step(&[(before, at)]).unwrap();
                    let file = second.save(before).unwrap();
                    second.restore(id, &file, &prompt[..at]).unwrap();
                }
                second.feed(id, &[&prompt[at..], &expected[..sampled]].concat()).unwrap();
                assert_eq!(generate(&mut second, id, 30 - sampled), expected[sampled..], "{name}, {sampled} sampled, from {at}");
            }
        }
    }
}

#[test]
fn what_counts_as_output_must_have_been_fed() {
    let spec = ModelSpec::default();
    let mut engine = engine(&build(&spec).bytes(), KvType::F32);
    let id = engine.open(SequenceOptions { continued: 3, ..SequenceOptions::default() }).unwrap();
    engine.feed(id, &[1, 2]).unwrap();
    refused(engine.step(&[(id, 2)]), "invalid_argument", "continued must be at most the 2 tokens that have been fed; it is 3");
    engine.feed(id, &[1]).unwrap();
    read_all(&mut engine, id);
    engine.sample(id).unwrap();
}

#[test]
fn a_sequence_that_is_saved_changes_nothing_and_nothing_changes_it() {
    for (name, spec) in catalogue() {
        let mut engine = engine(&build(&spec).bytes(), KvType::Int8);
        let prompt = Random::new(6).tokens(60, spec.vocabulary);
        let (id, undisturbed) = (engine.open(drawing()).unwrap(), engine.open(drawing()).unwrap());
        for id in [id, undisturbed] {
            engine.feed(id, &prompt).unwrap();
            engine.step(&[(id, 50)]).unwrap();
        }
        let expected = engine.save(undisturbed).unwrap();
        let length = engine.begin_save(id, 0, SaveMode::default()).unwrap();
        assert_eq!(length, expected.len() as u64, "{name}: pending tokens are no part of it");
        let mut file = engine.read_saved(id, 301).unwrap().to_vec();
        // While it goes out, a fork goes on, and the original waits.
        let fork = engine.fork(id).unwrap();
        refused(engine.step(&[(id, 1)]), "invalid_argument", "is being saved");
        refused(engine.evict(id), "invalid_argument", "is being saved");
        refused(engine.begin_save(id, 0, SaveMode::default()), "invalid_argument", "is being saved");
        refused(engine.push_state(id, b"SBST"), "invalid_argument", "is not being restored");
        engine.feed(id, &[7]).unwrap();
        engine.feed(fork, &[7]).unwrap();
        engine.feed(undisturbed, &[7]).unwrap();
        let continued = generate(&mut engine, fork, 9);
        while engine.saved_left(id).unwrap() > 0 {
            file.extend_from_slice(engine.read_saved(id, 299).unwrap());
        }
        assert_eq!(file, expected, "{name}");
        assert!(engine.read_saved(id, 299).unwrap().is_empty());
        engine.end_save(id).unwrap();
        refused(engine.end_save(id), "invalid_argument", "is not being saved");
        refused(engine.read_saved(id, 1), "invalid_argument", "is not being saved");
        assert_eq!(generate(&mut engine, id, 9), continued, "{name}");
        assert_eq!(generate(&mut engine, undisturbed, 9), continued, "{name}");
    }
}

#[test]
fn a_restored_sequence_is_lost_where_another_would_be_read_again() {
    let spec = ModelSpec::default();
    let mut engine = engine(&build(&spec).bytes(), KvType::F32);
    let (id, restored) = (engine.open(drawing()).unwrap(), engine.open(drawing()).unwrap());
    engine.feed(id, &[1, 2, 3]).unwrap();
    read_all(&mut engine, id);
    let file = engine.save(id).unwrap();
    engine.restore(restored, &file, &[1, 2, 3]).unwrap();
    let said = engine.describe_state(&file[..engine.state_header_bytes()]).unwrap().unwrap();
    assert_eq!((said.tokens, said.bytes), (3, engine.sequence_bytes(restored).unwrap()));
    assert_eq!(engine.describe_state(&file[..100]).unwrap(), None);
    refused(engine.evict(restored), "state_lost", "cannot read the first 3 tokens again");
    refused(engine.restore(restored, &file, &[]), "invalid_argument", "is not empty");
    let fork = engine.fork(restored).unwrap();
    refused(engine.evict(fork), "state_lost", "the first 3 tokens");
    engine.feed(restored, &[4]).unwrap();
    engine.feed(id, &[4]).unwrap();
    assert_eq!(generate(&mut engine, restored, 20), generate(&mut engine, id, 20));
}

#[test]
fn what_comes_in_wrong_leaves_an_empty_sequence() {
    let spec = ModelSpec::default();
    let mut engine = engine(&build(&spec).bytes(), KvType::F32);
    let (id, empty) = (engine.open(drawing()).unwrap(), engine.open(drawing()).unwrap());
    engine.feed(id, &[1, 2, 3]).unwrap();
    read_all(&mut engine, id);
    let file = engine.save(id).unwrap();
    let begin = |engine: &mut Engine| engine.begin_restore(empty, TokenSet::new(spec.vocabulary)).unwrap();
    begin(&mut engine);
    refused(engine.feed(empty, &[1]), "invalid_argument", "is being restored");
    refused(engine.fork(empty), "invalid_argument", "is being restored");
    refused(engine.begin_save(empty, 0, SaveMode::default()), "invalid_argument", "is being restored");
    engine.push_state(empty, &file[..file.len() - 4]).unwrap();
    assert!(engine.sequence_bytes(empty).unwrap() > 0);
    refused(engine.push_state(empty, &f32::NAN.to_le_bytes()), "invalid_state", "is not finite");
    refused(engine.push_state(empty, &file), "invalid_argument", "is not being restored");
    assert_eq!(engine.sequence_bytes(empty).unwrap(), 0);
    begin(&mut engine);
    engine.push_state(empty, &file[..file.len() - 4]).unwrap();
    refused(engine.end_restore(empty), "invalid_state", "it ends after");
    assert_eq!((engine.sequence_bytes(empty).unwrap(), engine.pending(empty).unwrap()), (0, 0));
    engine.restore(empty, &file, &[1, 2, 3]).unwrap();
    engine.feed(empty, &[4]).unwrap();
    engine.feed(id, &[4]).unwrap();
    assert_eq!(generate(&mut engine, empty, 20), generate(&mut engine, id, 20));
    refused(TokenSet::new(spec.vocabulary).insert(&[1, 37]).map(|()| 0), "invalid_argument", "token 37");
}

/// What the limit's closure reports.
static USED: AtomicUsize = AtomicUsize::new(0);

#[test]
fn memory_for_a_state_that_is_coming_in_is_nobody_elses() {
    const LIMIT: usize = 8 << 20;
    let spec = ModelSpec { head_dim: 64, rope_dim: 64, layers: vec![("full", "dense"); 2], ..ModelSpec::default() };
    let mut engine = Engine::new(load(&build(&spec).bytes()), KvType::F32, Some((LIMIT, || USED.load(Ordering::Relaxed)))).unwrap();
    let (id, empty) = (engine.open(SequenceOptions::default()).unwrap(), engine.open(SequenceOptions::default()).unwrap());
    engine.feed(id, &Random::new(2).tokens(200, spec.vocabulary)).unwrap();
    read_all(&mut engine, id);
    let file = engine.save(id).unwrap();
    let (most, needed) = (engine.free_state_bytes(), engine.sequence_bytes(id).unwrap());
    let free = |bytes: usize| USED.store(most - bytes, Ordering::Relaxed);
    let begin = |engine: &mut Engine| engine.begin_restore(empty, TokenSet::new(spec.vocabulary)).unwrap();
    free(needed - 1);
    begin(&mut engine);
    let error = engine.push_state(empty, &file[..200]).unwrap_err();
    assert_eq!(error, Error::OutOfMemory { what: "a restored state", needed, free: needed - 1 });
    assert_eq!(engine.sequence_bytes(empty).unwrap(), 0);
    free(needed);
    begin(&mut engine);
    engine.push_state(empty, &file[..200]).unwrap();
    // The two pages that the first tokens went to are there; the closure does not count them.
    assert_eq!(engine.free_state_bytes(), engine.sequence_bytes(empty).unwrap());
    engine.push_state(empty, &file[200..]).unwrap();
    assert_eq!(engine.end_restore(empty).unwrap(), 200);
    assert_eq!(engine.free_state_bytes(), needed);
}
