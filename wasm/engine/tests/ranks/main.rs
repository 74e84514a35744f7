//! A model that several ranks compute between them makes the same bits as one engine alone, and its states are the same files.

#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod meeting;
#[path = "../golden/vectors.rs"]
mod vectors;

use meeting::{Meeting, ranks};
use spikingbrain_engine::config::Rank;
use spikingbrain_engine::model::Model;
use spikingbrain_engine::sample::Sampling;
use spikingbrain_engine::spike::{Site, SpikeCounts, SpikingMode};
use spikingbrain_engine::state::{KvType, RecurrentType, Run, SaveMode};
use spikingbrain_engine::token_set::TokenSet;
use spikingbrain_engine::weights::{Loader, TensorType};
use spikingbrain_engine::{Engine, Error, SequenceOptions};
use support::models::catalogue::in_blocks;
use support::models::{ModelSpec, build, catalogue};
use support::random::Random;
use support::running::{StateFiles, engine, load};
use vectors::vectors;

/// A model's file, and what is chosen beside it.
#[derive(Clone)]
struct Case {
    name: String,
    file: Vec<u8>,
    kind: KvType,
    spikes: Option<SpikingMode>,
}

impl Case {
    fn alone(&self) -> Engine {
        Engine::new(Model::new(self.loader(Rank::default()).finish().unwrap()).unwrap(), self.kind, None).unwrap()
    }

    fn of(&self, meeting: &Meeting) -> Engine {
        let weights = self.loader(meeting.rank).finish().unwrap();
        Engine::new(Model::of_rank(weights, Box::new(meeting.clone())).unwrap(), self.kind, None).unwrap()
    }

    fn loader(&self, rank: Rank) -> Loader {
        let mut loader = Loader::new(None).with_rank(rank).with_spikes(self.spikes);
        // Ends within rows.
        push_needed(&mut loader, &self.file, 1_009);
        loader
    }
}

/// Pushes the chunks in which something is needed and skips the others; returns how many bytes were pushed.
fn push_needed(loader: &mut Loader, file: &[u8], chunk_bytes: usize) -> usize {
    let (mut at, mut pushed) = (0, 0);
    for chunk in file.chunks(chunk_bytes) {
        at += chunk.len();
        if loader.needed_from().is_none_or(|from| from >= at as u64) {
            loader.skip(chunk.len() as u64).unwrap();
        } else {
            assert!(loader.skip(chunk.len() as u64).is_err(), "bytes up to {at} are needed and were skipped");
            loader.push(chunk).unwrap();
            pushed += chunk.len();
        }
    }
    pushed
}

/// Everything that shows of a run. Ranks beside the first have no logits and no tokens.
#[derive(Debug, PartialEq, Default)]
struct Seen {
    logits: Vec<u32>,
    sampled: Vec<u32>,
    spikes: Option<Vec<[SpikeCounts; Site::ALL.len()]>>,
    /// Whole, and in the smallest form without the first page.
    files: [Vec<u8>; 2],
}

const PROMPT: usize = 75;
const SAMPLED: usize = 6;

/// Reads, samples, saves; `chosen` are the tokens that the first rank samples.
fn run(engine: &mut Engine, options: &SequenceOptions, chosen: Option<&[u32]>) -> Seen {
    let config = engine.model().config();
    let (vocabulary, spiking) = (config.vocabulary, config.spiking.mode != SpikingMode::Off);
    let id = engine.open(SequenceOptions { count_spikes: spiking, ..options.clone() }).unwrap();
    let mut seen = Seen::default();
    engine.feed(id, &Random::new(5).tokens(PROMPT, vocabulary)).unwrap();
    engine.step(&[(id, 64)]).unwrap();
    engine.read_logits(id, PROMPT - 64, |row| seen.logits.extend(row.iter().map(|x| x.to_bits()))).unwrap();
    for at in 0..SAMPLED {
        match chosen {
            Some(tokens) => engine.accept(id, Some(tokens[at])).unwrap(),
            None => seen.sampled.push(engine.sample(id).unwrap().id),
        }
        engine.step(&[(id, 1)]).unwrap();
    }
    seen.spikes = engine.spikes(id).unwrap().map(|meter| meter.layers().to_vec());
    let smallest = SaveMode { int8_rows: true, recurrent: RecurrentType::Bf16 };
    seen.files = [(SaveMode::default(), 0), (smallest, 1)].map(|(mode, from_page)| save(engine, id, mode, from_page));
    seen
}

fn save(engine: &mut Engine, id: u32, mode: SaveMode, from_page: usize) -> Vec<u8> {
    let mut file = Vec::new();
    engine.begin_save(id, from_page, mode).unwrap();
    while engine.saved_left(id).unwrap() > 0 {
        file.extend_from_slice(engine.read_saved(id, 501).unwrap());
    }
    engine.end_save(id).unwrap();
    file
}

/// KV heads of each rank.
fn heads(ranks: usize, kv_heads: usize) -> Vec<usize> {
    (0..ranks).map(|rank| Rank::new(0, ranks).unwrap().heads_of(rank, kv_heads, kv_heads).len()).collect()
}

fn joined(parts: &[&[u8]], header: usize, runs: &[Run], heads: &[usize]) -> Vec<u8> {
    let mut file = parts[0][..header].to_vec();
    let mut at = vec![header; parts.len()];
    for run in runs {
        for _ in 0..run.times {
            for ((part, at), heads) in parts.iter().zip(&mut at).zip(heads) {
                file.extend_from_slice(&part[*at..*at + heads * run.head_bytes]);
                *at += heads * run.head_bytes;
            }
        }
    }
    assert!(parts.iter().zip(&at).all(|(part, at)| part.len() == *at), "a rank's part has bytes that belong nowhere");
    file
}

fn split(file: &[u8], header: usize, runs: &[Run], heads: &[usize]) -> Vec<Vec<u8>> {
    let mut parts = vec![file[..header].to_vec(); heads.len()];
    let mut at = header;
    for run in runs {
        for _ in 0..run.times {
            for (part, heads) in parts.iter_mut().zip(heads) {
                part.extend_from_slice(&file[at..at + heads * run.head_bytes]);
                at += heads * run.head_bytes;
            }
        }
    }
    assert_eq!(at, file.len());
    parts
}

fn sampled() -> SequenceOptions {
    let sampling = Sampling { temperature: 0.8, top_p: 0.9, seed: 7, top_logprobs: Some(2), ..Sampling::default() };
    SequenceOptions { sampling, prompt_logprobs: Some(1), ..SequenceOptions::default() }
}

fn check(case: &Case) {
    let options = sampled();
    let mut alone = case.alone();
    let whole = run(&mut alone, &options, None);
    let kv_heads = alone.model().config().kv_heads;
    let header = alone.state_header_bytes();
    let more = Random::new(6).tokens(40, alone.model().config().vocabulary);
    let expected = go_on(&mut alone, &whole.files[0], &more);
    for count in 2..=4 {
        let seen = ranks(count, |meeting| {
            let mut engine = case.of(&meeting);
            run(&mut engine, &options, (meeting.rank.number() > 0).then_some(&whole.sampled))
        });
        let name = format!("{}, {:?}, {count} ranks", case.name, case.kind);
        assert_eq!(seen[0].logits, whole.logits, "{name}: logits");
        assert_eq!(seen[0].sampled, whole.sampled, "{name}: tokens");
        if let Some(expected) = &whole.spikes {
            assert_eq!(&spikes(&seen), expected, "{name}: spikes");
        }
        let heads = heads(count, kv_heads);
        let runs = [0, 1].map(|at| alone.state_runs(&whole.files[at], at).unwrap().unwrap());
        for (at, runs) in runs.iter().enumerate() {
            let parts: Vec<&[u8]> = seen.iter().map(|seen| seen.files[at].as_slice()).collect();
            assert!(joined(&parts, header, runs, &heads) == whole.files[at], "{name}: file {at}");
        }
        let parts = split(&whole.files[0], header, &runs[0], &heads);
        let found = ranks(count, |meeting| {
            let mut engine = case.of(&meeting);
            go_on(&mut engine, &parts[meeting.rank.number()], &more)
        });
        assert_eq!(found[0], expected, "{name}: logits after a restore");
    }
}

/// Logits after a state and more tokens.
fn go_on(engine: &mut Engine, file: &[u8], more: &[u32]) -> Vec<u32> {
    let id = engine.open(SequenceOptions::default()).unwrap();
    engine.begin_restore(id, TokenSet::new(engine.model().config().vocabulary)).unwrap();
    // Ranks make the same calls, whatever their parts.
    (0..9).for_each(|at| engine.push_state(id, &file[file.len() * at / 9..file.len() * (at + 1) / 9]).unwrap());
    assert_eq!(engine.end_restore(id).unwrap(), PROMPT + SAMPLED);
    engine.feed(id, more).unwrap();
    let mut logits = Vec::new();
    engine.read_logits(id, more.len(), |row| logits.extend(row.iter().map(|x| x.to_bits()))).unwrap();
    logits
}

/// The first rank's, with the queries' of all: those fire where their heads are.
fn spikes(seen: &[Seen]) -> Vec<[SpikeCounts; Site::ALL.len()]> {
    let mut layers = seen[0].spikes.clone().unwrap();
    for other in &seen[1..] {
        for (layer, more) in layers.iter_mut().zip(other.spikes.as_ref().unwrap()) {
            layer[Site::Query as usize] += more[Site::Query as usize];
        }
    }
    layers
}

#[test]
fn any_number_of_ranks_makes_the_bits_of_one_engine() {
    for (name, spec) in catalogue() {
        check(&Case { name: name.to_owned(), file: build(&spec).bytes(), kind: KvType::F32, spikes: None });
        let file = build(&in_blocks(&spec, TensorType::Q4_0)).bytes();
        check(&Case { name: format!("{name} in Q4_0"), file, kind: KvType::Int8, spikes: None });
    }
}

#[test]
fn spiking_models_and_w8_weights_are_divided_alike() {
    for vector in vectors() {
        check(&Case { name: vector.name.clone(), file: vector.bytes(), kind: KvType::Int8, spikes: Some(vector.spiking()) });
    }
}

#[test]
fn a_rank_holds_its_share_of_the_weights() {
    let spec = in_blocks(&ModelSpec { vocabulary: 400, ..ModelSpec::default() }, TensorType::Q4_0);
    let file = build(&spec).bytes();
    let whole = load(&file).weight_bytes();
    let case = Case { name: String::new(), file, kind: KvType::Int8, spikes: None };
    let parts = ranks(2, |meeting| case.of(&meeting).model().weight_bytes());
    // Norms are in both.
    assert!(parts.iter().sum::<usize>() <= whole + 5 * 96 * 4 && parts.iter().all(|part| part * 9 < whole * 5), "{parts:?} of {whole}");
}

#[test]
fn ranks_without_an_exchange_are_refused() {
    let mut loader = Loader::new(None).with_rank(Rank::new(0, 2).unwrap());
    loader.push(&build(&ModelSpec::default()).bytes()).unwrap();
    let message = Model::new(loader.finish().unwrap()).unwrap_err().to_string();
    assert!(message.contains("an exchange must be given"), "{message}");
}

#[test]
fn where_one_rank_cannot_go_on_none_waits_for_it_and_all_are_as_before() {
    let file = build(&ModelSpec::default()).bytes();
    let mut alone = engine(&file, KvType::F32);
    let expected = run(&mut alone, &SequenceOptions::default(), None);
    let case = Case { name: String::new(), file, kind: KvType::F32, spikes: None };
    let files = ranks(3, |meeting| {
        let mut engine = case.of(&meeting);
        let id = engine.open(SequenceOptions::default()).unwrap();
        // What only one of them is given is refused by that one, as a state whose part for it is broken would be.
        let broken = if meeting.rank.number() == 1 { &b"SBSX"[..] } else { &b"SB"[..] };
        engine.begin_restore(id, TokenSet::new(37)).unwrap();
        let error = engine.push_state(id, broken).unwrap_err();
        assert!(matches!(error, Error::InvalidState(_)), "{error}");
        meeting.set_back();
        let chosen = (meeting.rank.number() > 0).then_some(&expected.sampled[..]);
        run(&mut engine, &SequenceOptions::default(), chosen);
        engine.save(id).unwrap()
    });
    assert!(files.iter().all(|file| *file == files[0][..]), "an empty state has no part of anybody's");
}

#[test]
fn a_rank_needs_its_own_rows_of_a_file_and_no_others() {
    let bytes = build(&in_blocks(&ModelSpec { vocabulary: 400, ..ModelSpec::default() }, TensorType::Q4_0)).bytes();
    for ranks in [2, 3] {
        for number in 0..ranks {
            let mut loader = Loader::new(None).with_rank(Rank::new(number, ranks).unwrap());
            let pushed = push_needed(&mut loader, &bytes, 4);
            loader.finish().unwrap();
            // Beside its part of the rows, the header and what every rank has.
            let most = bytes.len() / ranks + bytes.len() / 10;
            assert!(pushed <= most, "rank {number} of {ranks} needs {pushed} bytes of {}, {most} at the most", bytes.len());
        }
    }
}

#[test]
fn ranks_hand_over_codes_where_the_next_product_rounds() {
    const TOKENS: usize = 11;
    let (_, spec) = catalogue().into_iter().find(|(name, _)| *name == "qwen2").unwrap();
    let file = build(&in_blocks(&spec, TensorType::Q4_1)).bytes();
    let handed_in = |spikes| {
        let case = Case { name: String::new(), file: file.clone(), kind: KvType::Int8, spikes };
        let each = ranks(2, |meeting| {
            let mut engine = case.of(&meeting);
            let id = engine.open(SequenceOptions::default()).unwrap();
            engine.feed(id, &Random::new(6).tokens(TOKENS, spec.vocabulary)).unwrap();
            let before = meeting.handed_in();
            engine.step(&[(id, TOKENS)]).unwrap();
            (meeting.handed_in() - before, engine.model().config().clone())
        });
        each.into_iter().next().unwrap()
    };
    // What fires is counted in whole rows, and handed over as it is.
    let ((values, config), (codes, _)) = (handed_in(Some(SpikingMode::Paper)), handed_in(Some(SpikingMode::Off)));
    // Of 32 numbers nine: heads' outputs, 64 wide, and the feed-forward's inner layer of 128.
    assert_eq!(values - codes, TOKENS * config.layers.len() * (64 + 128) / 32 * (32 - 9));
}
