//! A model cut into parts makes the same bits as the whole: tokens, scores, counts of spikes, and state files.

use super::support::cluster::{Cluster, Running, part};
use super::support::golden::directory;
use super::support::random::Random;
use super::support::running::{KV_TYPES, load};
use spikingbrain_engine::config::{Config, Cut};
use spikingbrain_engine::sample::Sampling;
use spikingbrain_engine::spike::{SpikeCounts, SpikingMode};
use spikingbrain_engine::state::KvType;
use spikingbrain_engine::weights::Loader;
use spikingbrain_engine::{Engine, Error, SequenceOptions};
use std::fs;

/// Every committed model: those of all forms and types, and the reference's.
fn models() -> Vec<(String, Vec<u8>)> {
    let folders = [directory(), directory().join("..")];
    let mut paths: Vec<_> = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "gguf"));
    paths.sort();
    assert!(paths.len() > 20, "there are {} models", paths.len());
    paths.into_iter().map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap())).collect()
}

fn rows(range: core::ops::Range<usize>) -> Cut {
    Cut { embedding: range.clone(), sublayers: 0..0, head: range }
}

fn sublayers(range: core::ops::Range<usize>) -> Cut {
    Cut { embedding: 0..0, sublayers: range, head: 0..0 }
}

/// In two at every place, the first part leading; then every half of a layer alone, with the vocabulary in an engine that leads, in the first and
/// the last part, and in two of its own.
fn cuttings(config: &Config) -> Vec<Vec<Cut>> {
    let (end, vocabulary) = (2 * config.layers.len(), config.vocabulary);
    let mut cuttings: Vec<Vec<Cut>> = (0..=end)
        .map(|at| {
            let lead = Cut { embedding: 0..vocabulary, sublayers: 0..at, head: 0..0 };
            vec![lead, Cut { embedding: 0..0, sublayers: at..end, head: 0..vocabulary }]
        })
        .filter(|cuts| !cuts[1].sublayers.is_empty())
        .collect();
    let halves = || (0..end).map(|at| sublayers(at..at + 1));
    cuttings.push(core::iter::once(rows(0..vocabulary)).chain(halves()).collect());
    let mut ends: Vec<Cut> = core::iter::once(rows(0..0)).chain(halves()).collect();
    ends[1].embedding = 0..vocabulary;
    ends[end].head = 0..vocabulary;
    cuttings.push(ends);
    let third = vocabulary / 3 / 4 * 4;
    let split = [rows(0..0), rows(0..third), sublayers(0..end), rows(third..vocabulary)];
    cuttings.push(split.to_vec());
    cuttings
}

/// What a run makes: tokens with scores, counts of spikes, bytes of states, and state files.
type Made = (Vec<String>, Vec<Vec<Vec<SpikeCounts>>>, Vec<usize>, Vec<Vec<u8>>);

/// Two sequences side by side in steps of odd sizes, one of them evicted on the way; a fork, and a restored state that goes on.
fn run(engine: &mut impl Running, spiking: bool) -> Made {
    let vocabulary = engine.lead().model().config().vocabulary;
    let (first, second) = (Random::new(70).tokens(83, vocabulary), Random::new(9).tokens(9, vocabulary));
    let drawn = Sampling { temperature: 0.8, top_p: 0.9, seed: 7, top_logprobs: Some(2), repetition_penalty: 1.1, ..Sampling::default() };
    let of = |sampling, prompt_logprobs| SequenceOptions { sampling, prompt_logprobs, count_spikes: spiking, ..SequenceOptions::default() };
    let a = engine.open(of(drawn.clone(), Some(1)));
    let b = engine.open(of(Sampling::default(), None));
    engine.feed(a, &first);
    engine.feed(b, &second);
    for plan in [vec![(a, 32)], vec![(b, 2), (a, 40)], vec![(a, 9), (b, 7)], vec![(a, 2)]] {
        engine.step(&plan);
    }
    let mut made = Vec::new();
    made.extend(engine.scores(a).iter().map(|score| format!("{score:?}")));
    for round in 0..4 {
        for id in [a, b] {
            made.push(format!("{:?}", engine.sample(id)));
        }
        engine.step(&[(a, 1), (b, 1)]);
        if round == 1 {
            engine.evict(b);
            engine.step(&[(b, 11)]);
        }
    }
    let copy = engine.fork(a);
    made.push(format!("{:?}", engine.sample(copy)));
    engine.step(&[(copy, 1)]);
    let files = vec![engine.save(a), engine.save(b), engine.save(copy)];
    let restored = engine.open(of(drawn, None));
    engine.restore(restored, &files[0], &first);
    engine.feed(restored, &second);
    engine.step(&[(restored, 9)]);
    made.push(format!("{:?}", engine.sample(restored)));
    let bytes = [a, b, copy, restored].map(|id| engine.held(id)).to_vec();
    let spikes = [a, b, restored].map(|id| engine.fired(id)).to_vec();
    (made, spikes, bytes, files.into_iter().chain([engine.save(restored)]).collect())
}

fn check(name: &str, bytes: &[u8], kind: KvType, mode: Option<SpikingMode>) {
    let mut loader = Loader::new(None).with_spikes(mode);
    loader.push(bytes).unwrap();
    let model = spikingbrain_engine::model::Model::new(loader.finish().unwrap()).unwrap();
    let (cuttings, weights) = (cuttings(model.config()), model.weight_bytes());
    let spiking = model.config().spiking.mode != SpikingMode::Off;
    let mut whole = Engine::new(model, kind, None).unwrap();
    let expected = run(&mut whole, spiking);
    for cuts in cuttings {
        let refused = cuts.iter().find_map(|cut| Loader::new(None).with_cut(Some(cut.clone())).push(bytes).err());
        if let Some(Error::UnsupportedModel(message)) = &refused {
            assert!(message.contains("a cut through tensor"), "{name}: {message}");
            continue;
        }
        if let Some(Error::InvalidArgument(message)) = &refused {
            assert!(message.contains("embedding and head are one matrix"), "{name}: {message}");
            continue;
        }
        assert_eq!(refused, None, "{name} {cuts:?}");
        let held: usize = cuts.iter().map(|cut| part(bytes, cut, kind, mode).model().weight_bytes()).sum();
        assert!(held < weights + weights / 2 + 4_096, "{name} {cuts:?}: parts of {weights} bytes hold {held}");
        let made = run(&mut Cluster::new(bytes, &cuts, kind, mode), spiking);
        assert!(made.0 == expected.0, "{name} {kind:?} {mode:?} {cuts:?}: tokens and scores\n{:?}\n{:?}", made.0, expected.0);
        assert!(made.1 == expected.1, "{name} {kind:?} {mode:?} {cuts:?}: spikes");
        assert!(made.2 == expected.2, "{name} {kind:?} {mode:?} {cuts:?}: bytes {:?} {:?}", made.2, expected.2);
        assert!(made.3 == expected.3, "{name} {kind:?} {mode:?} {cuts:?}: state files");
    }
}

#[test]
fn every_cut_of_every_model_makes_the_wholes_bits() {
    for ((name, bytes), kind) in models().iter().zip(KV_TYPES.iter().cycle()) {
        check(name, bytes, *kind, Some(SpikingMode::Off));
    }
}

#[test]
fn spikes_are_counted_across_parts() {
    for (name, bytes) in models().into_iter().filter(|(name, _)| ["seven", "seventy-six", "evicted"].contains(&name.as_str())) {
        check(&name, &bytes, KvType::Int8, Some(SpikingMode::Released));
    }
}

#[test]
fn what_a_part_does_not_need_may_be_skipped() {
    let (_, bytes) = models().into_iter().find(|(name, _)| name == "alternating-q8_0").unwrap();
    let whole = load(&bytes);
    let cut = Cut { embedding: 8..16, sublayers: 2..3, head: 8..16 };
    let mut loader = Loader::new(None).with_cut(Some(cut.clone()));
    let mut pushed = 0;
    let mut at = 0u64;
    for chunk in bytes.chunks(64) {
        let end = at + chunk.len() as u64;
        if loader.needed_from().is_none_or(|from| from >= end) && at >= 24_000 {
            loader.skip(chunk.len() as u64).unwrap();
        } else {
            assert!(loader.needed_from().is_none_or(|from| from >= end) || loader.skip(chunk.len() as u64).is_err());
            loader.push(chunk).unwrap();
            pushed += chunk.len();
        }
        at = end;
    }
    assert!(pushed < bytes.len(), "{pushed} of {} bytes were needed", bytes.len());
    let skipped = spikingbrain_engine::model::Model::new(loader.finish().unwrap()).unwrap();
    assert_eq!(skipped.weight_bytes(), part(&bytes, &cut, KvType::Int8, None).model().weight_bytes());
    assert!(skipped.weight_bytes() < whole.weight_bytes() / 2);
}

#[test]
fn a_part_that_has_lost_a_state_says_so_and_the_sequence_reads_again() {
    let (_, bytes) = models().into_iter().find(|(name, _)| name == "alternating-q8_0").unwrap();
    let config = load(&bytes).config().clone();
    let cuts = [rows(0..config.vocabulary), sublayers(0..2), sublayers(2..6)];
    let mut cluster = Cluster::new(&bytes, &cuts, KvType::Int8, None);
    let tokens = Random::new(5).tokens(20, config.vocabulary);
    let (id, twin) = (cluster.open(SequenceOptions::default()), cluster.open(SequenceOptions::default()));
    for id in [id, twin] {
        cluster.feed(id, &tokens);
        cluster.step(&[(id, 20)]);
        cluster.sample(id);
    }
    cluster.forget(1);
    let message = cluster.try_step(&[(id, 1)]).unwrap_err().to_string();
    assert!(message.contains("does not have the state of sequence 1"), "{message}");
    assert_eq!(cluster.lead().pending(id).unwrap(), 21, "everything is to be read again");
    cluster.step(&[(id, 21)]);
    cluster.evict(twin);
    cluster.step(&[(twin, 21)]);
    assert_eq!(cluster.save(id), cluster.save(twin));
}

#[test]
fn a_sequence_that_is_being_read_does_nothing_else() {
    let (_, bytes) = models().into_iter().find(|(name, _)| name == "alternating-q8_0").unwrap();
    let vocabulary = load(&bytes).config().vocabulary;
    let mut lead = part(&bytes, &rows(0..vocabulary), KvType::Int8, None);
    let id = lead.open(SequenceOptions::default()).unwrap();
    lead.feed(id, &[1, 2, 3]).unwrap();
    let (pass, message) = lead.begin_pass(1, &[(id, 3)]).unwrap();
    for error in [lead.evict(id).unwrap_err(), lead.step(&[(id, 1)]).unwrap_err(), lead.begin_save(id, 0, Default::default()).unwrap_err()]
    {
        let message = error.to_string();
        assert!(message.contains("is being read") || message.contains("0 of its pending tokens"), "{message}");
    }
    assert!(lead.end_pass(pass, &message).unwrap_err().to_string().contains("has not been through all layers"));
    assert!(lead.end_pass(pass + 1, &message).unwrap_err().to_string().contains("there is no pass 2"));
    lead.close(id).unwrap();
    lead.drop_pass(pass).unwrap();
}
