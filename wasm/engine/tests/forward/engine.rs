//! Sequences: eviction, forks, seeds, limits, and callers' mistakes, which change nothing.

use crate::support::models::{ModelSpec, build, catalogue};
use crate::support::random::Random;
use crate::support::running::{KV_TYPES, StateFiles, engine, load};
use spikingbrain_engine::engine::SequenceId;
use spikingbrain_engine::sample::Sampling;
use spikingbrain_engine::state::KvType;
use spikingbrain_engine::{Engine, Error, SequenceOptions};
use std::sync::atomic::{AtomicUsize, Ordering};

fn drawing(seed: u64) -> SequenceOptions {
    SequenceOptions {
        sampling: Sampling {
            temperature: 1.0,
            seed,
            repetition_penalty: 1.1,
            frequency_penalty: 0.1,
            top_logprobs: Some(3),
            ..Sampling::default()
        },
        prompt_logprobs: None,
        ..SequenceOptions::default()
    }
}

fn opened(engine: &mut Engine, seed: u64, prompt: &[u32]) -> SequenceId {
    let id = engine.open(drawing(seed)).unwrap();
    engine.feed(id, prompt).unwrap();
    id
}

fn read_all(engine: &mut Engine, id: SequenceId) {
    let pending = engine.pending(id).unwrap();
    engine.step(&[(id, pending)]).unwrap();
}

/// Samples so many tokens, reading each; the last one stays unread.
fn generate(engine: &mut Engine, id: SequenceId, count: usize) -> Vec<u32> {
    (0..count)
        .map(|_| {
            read_all(engine, id);
            engine.sample(id).unwrap().id
        })
        .collect()
}

#[test]
fn the_same_seed_gives_the_same_tokens_and_another_gives_others() {
    let bytes = build(&ModelSpec::default()).bytes();
    let run = |seed| {
        let mut engine = engine(&bytes, KvType::Int8);
        let id = opened(&mut engine, seed, &[1, 2, 3]);
        generate(&mut engine, id, 40)
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

#[test]
fn forced_tokens_are_as_good_as_chosen_ones() {
    for (name, spec) in catalogue() {
        let prompt = Random::new(9).tokens(45, spec.vocabulary);
        let mut engine = engine(&build(&spec).bytes(), KvType::Int8);
        let chosen = opened(&mut engine, 4, &prompt);
        let tokens = generate(&mut engine, chosen, 12);
        // At the answer's beginning, before the prompt is read, and in its middle.
        let forced = opened(&mut engine, 4, &prompt);
        engine.force(forced, &tokens[..3]).unwrap();
        let mut all = tokens[..3].to_vec();
        all.extend(generate(&mut engine, forced, 2));
        engine.force(forced, &tokens[5..9]).unwrap();
        all.extend(&tokens[5..9]);
        all.extend(generate(&mut engine, forced, 3));
        assert_eq!(all, tokens, "{name}");
    }
}

#[test]
fn a_mask_holds_until_another_one_is_set() {
    let spec = ModelSpec::default();
    let mut engine = engine(&build(&spec).bytes(), KvType::Int8);
    let bits = |tokens: &[u32]| {
        let mut bits = vec![0u8; spec.vocabulary.div_ceil(8)];
        tokens.iter().for_each(|token| bits[*token as usize / 8] |= 1 << (token % 8));
        bits
    };
    let id = opened(&mut engine, 1, &[1, 2, 3]);
    let free = generate(&mut engine, id, 1);
    engine.set_mask(id, Some(&bits(&[5, 6]))).unwrap();
    assert!(generate(&mut engine, id, 6).iter().all(|token| [5, 6].contains(token)));
    engine.evict(id).unwrap();
    let copy = engine.fork(id).unwrap();
    assert!(generate(&mut engine, copy, 4).iter().chain(&generate(&mut engine, id, 4)).all(|token| [5, 6].contains(token)));
    engine.set_mask(id, Some(&bits(&[]))).unwrap();
    read_all(&mut engine, id);
    assert!(engine.sample(id).unwrap_err().to_string().contains("every token is forbidden"));
    let again = opened(&mut engine, 1, &[1, 2, 3]);
    engine.set_mask(again, Some(&bits(&[7]))).unwrap();
    engine.set_mask(again, None).unwrap();
    assert_eq!(generate(&mut engine, again, 1), free);
    assert!(engine.set_mask(again, Some(&[0])).unwrap_err().to_string().contains("a mask must have"));
}

#[test]
fn company_changes_no_token() {
    for (name, spec) in catalogue() {
        let bytes = build(&spec).bytes();
        let prompts: Vec<Vec<u32>> =
            [70, 3, 33, 64].iter().map(|count| Random::new(*count as u64).tokens(*count, spec.vocabulary)).collect();
        let alone: Vec<Vec<u32>> = prompts
            .iter()
            .enumerate()
            .map(|(seed, prompt)| {
                let mut engine = engine(&bytes, KvType::Int8);
                let id = opened(&mut engine, seed as u64, prompt);
                generate(&mut engine, id, 12)
            })
            .collect();
        let mut engine = engine(&bytes, KvType::Int8);
        let ids: Vec<SequenceId> = prompts.iter().enumerate().map(|(seed, prompt)| opened(&mut engine, seed as u64, prompt)).collect();
        let mut together = vec![Vec::new(); ids.len()];
        for _ in 0..12 {
            let plan: Vec<(SequenceId, usize)> = ids.iter().map(|id| (*id, engine.pending(*id).unwrap())).collect();
            engine.step(&plan).unwrap();
            for (tokens, id) in together.iter_mut().zip(&ids) {
                tokens.push(engine.sample(*id).unwrap().id);
            }
        }
        assert_eq!(alone, together, "{name}");
    }
}

#[test]
fn eviction_loses_nothing() {
    for kind in KV_TYPES {
        for (name, spec) in catalogue() {
            for prompt_length in [1, 31, 50, 70, 96] {
                let mut engine = engine(&build(&spec).bytes(), kind);
                let prompt = Random::new(5).tokens(prompt_length, spec.vocabulary);
                let (kept, evicted) = (opened(&mut engine, 3, &prompt), opened(&mut engine, 3, &prompt));
                for round in 0..3 {
                    let what = format!("{name}, {kind:?}, prompt of {prompt_length}, round {round}");
                    assert_eq!(generate(&mut engine, kept, 9), generate(&mut engine, evicted, 9), "{what}");
                    engine.evict(evicted).unwrap();
                    assert_eq!(engine.sequence_bytes(evicted).unwrap(), 0);
                    assert_eq!(engine.pending(evicted).unwrap(), prompt_length + 9 + 11 * round);
                    read_all(&mut engine, kept);
                    read_all(&mut engine, evicted);
                    assert_eq!(engine.save(kept).unwrap(), engine.save(evicted).unwrap(), "{what}: state");
                    // Evicted a second time, in between, and with nothing fed: what was to be sampled is still to be sampled.
                    engine.evict(evicted).unwrap();
                    engine.feed(evicted, &[]).unwrap();
                    engine.feed(kept, &[]).unwrap();
                    let chosen = engine.sample(kept).unwrap();
                    read_all(&mut engine, evicted);
                    assert_eq!(engine.sample(evicted).unwrap(), chosen, "{what}: next");
                    read_all(&mut engine, kept);
                    read_all(&mut engine, evicted);
                    let (a, b) = (engine.sample(kept).unwrap(), engine.sample(evicted).unwrap());
                    assert_eq!(a, b, "{what}: one after");
                }
            }
        }
    }
}

#[test]
fn a_fork_continues_as_its_original() {
    for (name, spec) in catalogue() {
        let mut engine = engine(&build(&spec).bytes(), KvType::Int8);
        let prompt = Random::new(6).tokens(45, spec.vocabulary);
        let id = opened(&mut engine, 1, &prompt);
        generate(&mut engine, id, 5);
        let fork = engine.fork(id).unwrap();
        let theirs = generate(&mut engine, fork, 30);
        assert_eq!(generate(&mut engine, id, 30), theirs, "{name}");
        assert_eq!(engine.save(id).unwrap(), engine.save(fork).unwrap(), "{name}");
    }
}

#[test]
fn a_saved_sequence_goes_on_in_another_engine() {
    for (name, spec) in catalogue() {
        let bytes = build(&spec).bytes();
        let mut first = engine(&bytes, KvType::Int8);
        let prompt = Random::new(6).tokens(45, spec.vocabulary);
        let id = opened(&mut first, 1, &prompt);
        read_all(&mut first, id);
        let saved = first.save(id).unwrap();
        let next = Random::new(7).tokens(3, spec.vocabulary);
        let mut second = engine(&bytes, KvType::Int8);
        let restored = second.open(drawing(1)).unwrap();
        second.restore(restored, &saved, &prompt).unwrap();
        assert_eq!(second.pending(restored).unwrap(), 0);
        first.feed(id, &next).unwrap();
        second.feed(restored, &next).unwrap();
        assert_eq!(generate(&mut first, id, 20), generate(&mut second, restored, 20), "{name}");
        assert_eq!(first.save(id).unwrap(), second.save(restored).unwrap(), "{name}");
    }
}

#[test]
fn prompt_scores_do_not_depend_on_the_steps() {
    let spec = ModelSpec::default();
    let bytes = build(&spec).bytes();
    let prompt = Random::new(6).tokens(150, spec.vocabulary);
    let scores = |sizes: &[usize], evict_after: Option<usize>| {
        let mut engine = engine(&bytes, KvType::F32);
        let id = engine.open(SequenceOptions { prompt_logprobs: Some(2), ..SequenceOptions::default() }).unwrap();
        engine.feed(id, &prompt).unwrap();
        let mut all = Vec::new();
        for (index, size) in sizes.iter().cycle().enumerate() {
            let pending = engine.pending(id).unwrap();
            if pending == 0 {
                break;
            }
            engine.step(&[(id, pending.min(*size))]).unwrap();
            all.extend(engine.take_prompt_logprobs(id).unwrap());
            if evict_after == Some(index) {
                engine.evict(id).unwrap();
            }
        }
        all
    };
    let whole = scores(&[150], None);
    assert_eq!(whole.len(), 150);
    assert!(whole[0].is_none() && whole[1..].iter().all(Option::is_some));
    for (position, score) in whole.iter().enumerate().skip(1) {
        assert_eq!(score.as_ref().unwrap().id, prompt[position]);
    }
    assert_eq!(whole, scores(&[1], None));
    assert_eq!(whole, scores(&[64, 3], None));
    assert_eq!(whole, scores(&[40], Some(2)));
}

#[track_caller]
fn refused<T: core::fmt::Debug>(result: Result<T, Error>, named: &str) {
    match result {
        Err(Error::InvalidArgument(message)) => assert!(message.contains(named), "'{message}' does not name '{named}'"),
        other => panic!("{other:?} where an invalid argument naming '{named}' was due"),
    }
}

#[test]
fn mistakes_are_refused_by_name_and_change_nothing() {
    let spec = ModelSpec::default();
    let mut engine = engine(&build(&spec).bytes(), KvType::F32);
    let id = opened(&mut engine, 1, &[1, 2, 3, 4]);
    let other = opened(&mut engine, 1, &[5]);
    engine.step(&[(id, 2)]).unwrap();
    let before = (engine.save(id).unwrap(), engine.save(other).unwrap());
    let missing = "no sequence 999";
    refused(engine.step(&[(999, 1)]), missing);
    refused(engine.feed(999, &[1]), missing);
    refused(engine.pending(999), missing);
    refused(engine.sample(999), missing);
    refused(engine.take_prompt_logprobs(999), missing);
    refused(engine.evict(999), missing);
    refused(engine.fork(999), missing);
    refused(engine.save(999), missing);
    refused(engine.close(999), missing);
    refused(engine.sequence_bytes(999), missing);
    let one = format!("sequence {id}");
    refused(engine.step(&[(id, 1), (id, 1)]), &one);
    refused(engine.step(&[(other, 1), (id, 3)]), &one);
    refused(engine.step(&[(other, 1), (id, 0)]), &one);
    refused(engine.step(&[(other, 1), (id, usize::MAX)]), &one);
    refused(engine.sample(id), &one);
    let vocabulary = spec.vocabulary as u32;
    refused(engine.feed(id, &[1, vocabulary]), "token 37");
    refused(engine.feed(id, &[u32::MAX]), "vocabulary size 37");
    refused(engine.restore(id, &before.0, &[1, 2]), "not empty");
    assert_eq!((engine.pending(id).unwrap(), engine.pending(other).unwrap()), (2, 1));
    assert_eq!(before, (engine.save(id).unwrap(), engine.save(other).unwrap()));
    engine.step(&[]).unwrap();

    let empty = engine.open(SequenceOptions::default()).unwrap();
    refused(engine.restore(empty, &before.0, &[1, vocabulary]), "token 37");
    assert_eq!((engine.pending(empty).unwrap(), engine.sequence_bytes(empty).unwrap()), (0, 0));
    engine.restore(empty, &before.0, &[1, 2]).unwrap();
    refused(engine.sample(empty), "tokens to read");
    engine.close(empty).unwrap();
    refused(engine.close(empty), "no sequence");

    for (sampling, named) in [
        (Sampling { temperature: f32::NAN, ..Sampling::default() }, "temperature"),
        (Sampling { temperature: -0.1, ..Sampling::default() }, "temperature"),
        (Sampling { min_p: 1.5, ..Sampling::default() }, "minP"),
        (Sampling { repetition_penalty: 0.0, ..Sampling::default() }, "repetitionPenalty"),
        (Sampling { presence_penalty: f32::INFINITY, ..Sampling::default() }, "presencePenalty"),
        (Sampling { logit_bias: vec![(37, 1.0)], ..Sampling::default() }, "logitBias"),
        (Sampling { logit_bias: vec![(1, 101.0)], ..Sampling::default() }, "logitBias"),
        (Sampling { stop_tokens: vec![u32::MAX], ..Sampling::default() }, "stopTokens"),
    ] {
        refused(engine.open(SequenceOptions { sampling, prompt_logprobs: None, ..SequenceOptions::default() }), named);
    }
}

/// What the limit's closure reports; each test that uses it sets its own.
static USED: AtomicUsize = AtomicUsize::new(0);

#[test]
fn what_does_not_fit_is_refused_before_any_change() {
    const LIMIT: usize = 8 << 20;
    let spec = ModelSpec { head_dim: 64, rope_dim: 64, layers: vec![("linear", "dense"), ("full", "dense")], ..ModelSpec::default() };
    let bytes = build(&spec).bytes();
    let mut engine = Engine::new(load(&bytes), KvType::F32, Some((LIMIT, || USED.load(Ordering::Relaxed)))).unwrap();
    let prompt = Random::new(2).tokens(200, spec.vocabulary);
    let id = opened(&mut engine, 1, &prompt);
    engine.step(&[(id, 64)]).unwrap();
    let before = engine.save(id).unwrap();
    // With nothing used, all is free but what the engine keeps back.
    let most = engine.free_state_bytes();
    let free = |bytes: usize| USED.store(most - bytes, Ordering::Relaxed);
    let growth = engine.state_bytes(200) - engine.sequence_bytes(id).unwrap();

    free(growth - 1);
    match engine.step(&[(id, 136)]) {
        Err(Error::OutOfMemory { what: "state", needed, free }) => assert_eq!((needed, free), (growth, growth - 1)),
        other => panic!("{other:?} where the state was too large by a byte"),
    }
    let second = opened(&mut engine, 1, &[1]);
    let empty = engine.open(SequenceOptions::default()).unwrap();
    free(0);
    assert!(matches!(engine.feed(second, &[2]), Err(Error::OutOfMemory { what: "tokens", needed: 4, free: 0 })));
    assert!(matches!(engine.step(&[(second, 1)]), Err(Error::OutOfMemory { .. })));
    assert!(matches!(engine.fork(id), Err(Error::OutOfMemory { .. })), "a fork copies linear states, which take memory too");
    assert!(matches!(engine.restore(empty, &before, &prompt[..64]), Err(Error::OutOfMemory { .. })), "a restored state takes memory too");
    assert_eq!(before, engine.save(id).unwrap());
    assert_eq!((engine.pending(id).unwrap(), engine.pending(second).unwrap(), engine.pending(empty).unwrap()), (136, 1, 0));

    free(growth);
    engine.step(&[(id, 136)]).unwrap();
    USED.store(0, Ordering::Relaxed);
    engine.restore(empty, &before, &prompt[..64]).unwrap();
    engine.feed(empty, &prompt[64..]).unwrap();
    engine.step(&[(empty, 136)]).unwrap();
    assert_eq!(engine.save(id).unwrap(), engine.save(empty).unwrap());
}
