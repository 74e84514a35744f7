//! A state saved anywhere and loaded again goes on as if nothing had happened.

use crate::support::models::{EvictedSpec, ModelSpec, build, catalogue};
use crate::support::random::Random;
use crate::support::running::{KV_TYPES, Runner, bits};
use spikingbrain_engine::Error;
use spikingbrain_engine::memory::Allowance;
use spikingbrain_engine::state::{Digests, Identity, KvType, PAGE_TOKENS, RecurrentType, SaveMode, State, StateReader, StateWriter};

/// Positions at which a state is saved, from nothing to a few pages.
const POSITIONS: usize = 100;
/// Places in the header.
const POSITION: usize = 104;
const KV_TYPE: usize = 120;
const HEAD_BYTES: usize = 124;
const GROUPS: usize = 132;

fn number(file: &[u8], at: usize) -> usize {
    u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize
}

/// Window and bytes of a token of each group.
fn groups(file: &[u8]) -> Vec<(usize, usize)> {
    (0..number(file, GROUPS)).map(|group| GROUPS + 4 + 8 * group).map(|at| (number(file, at), number(file, at + 4))).collect()
}

fn header_bytes(file: &[u8]) -> usize {
    GROUPS + 4 + 8 * number(file, GROUPS)
}

/// As a store does it: a file of fewer tokens, made of the bytes alone.
fn cut(file: &[u8], position: usize) -> Vec<u8> {
    let whole = number(file, POSITION);
    let mut out = file[..header_bytes(file)].to_vec();
    out[POSITION..POSITION + 8].copy_from_slice(&(position as u64).to_le_bytes());
    let mut at = out.len();
    for (_, token_bytes) in groups(file) {
        out.extend_from_slice(&file[at..at + position * token_bytes]);
        at += whole * token_bytes;
    }
    out
}

fn written(runner: &Runner, state: &State, mode: SaveMode, from_page: usize, most: usize) -> Vec<u8> {
    let mut writer = StateWriter::new(state, &runner.identity(), mode, from_page).unwrap();
    let (length, mut out) = (writer.left(), Vec::new());
    while writer.left() > 0 {
        let chunk = writer.next(state, most);
        assert!((1..=most).contains(&chunk.len()));
        out.extend_from_slice(chunk);
    }
    assert!(writer.next(state, most).is_empty());
    assert_eq!(out.len() as u64, length);
    out
}

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
fn chunks_may_be_of_any_size() {
    for kind in KV_TYPES {
        for (name, spec) in catalogue() {
            let mut runner = Runner::new(&build(&spec).bytes(), kind);
            let mut state = runner.state();
            runner.read(&mut state, &Random::new(4).tokens(77, spec.vocabulary), &[64]);
            let saved = runner.save(&state);
            for most in [1, 7, 1 << 20] {
                assert_eq!(written(&runner, &state, SaveMode::default(), 0, most), saved, "{name}, {kind:?}, by {most}");
                let mut reader = StateReader::default();
                let mut allowance = Allowance::new("a test", usize::MAX);
                saved.chunks(most).for_each(|chunk| reader.push(&runner.identity(), chunk, &mut allowance).unwrap());
                assert_eq!(reader.reserved(), State::bytes_at(runner.model.config(), kind, state.position(), 0) - reader.bytes());
                let loaded = reader.finish(runner.model.config()).unwrap();
                assert_eq!(runner.save(&loaded), saved, "{name}, {kind:?}, by {most}");
            }
        }
    }
}

/// Of a state that holds `held` tokens of a group, which of their rows a file from a page on has.
fn rows(window: usize, kept: usize, position: usize, from_page: usize) -> Vec<usize> {
    let start = if window == 0 { 0 } else { (position + 1).saturating_sub(window).min(position) };
    let held = (0..kept.min(start)).chain(start..position);
    held.filter(|token| *token >= from_page * PAGE_TOKENS).collect()
}

#[test]
fn pages_and_a_head_make_the_whole_file() {
    for (name, spec) in catalogue() {
        let mut runner = Runner::new(&build(&spec).bytes(), KvType::Int8);
        let mut state = runner.state();
        runner.read(&mut state, &Random::new(4).tokens(150, spec.vocabulary), &[64]);
        let (saved, position) = (runner.save(&state), state.position());
        let head = header_bytes(&saved) + number(&saved, HEAD_BYTES);
        for from_page in [0, 1, 3, position / PAGE_TOKENS, position / PAGE_TOKENS + 1, usize::MAX] {
            let part = written(&runner, &state, SaveMode::default(), from_page, 999);
            assert_eq!(part[..head], saved[..head], "{name}");
            let (mut in_part, mut in_whole) = (head, head);
            for (window, token_bytes) in groups(&saved) {
                let held = rows(window, number(&saved, POSITION + 12), position, 0);
                for token in &held {
                    let row = &saved[in_whole..in_whole + token_bytes];
                    if from_page != usize::MAX && *token >= from_page * PAGE_TOKENS {
                        assert_eq!(row, &part[in_part..in_part + token_bytes], "{name}: token {token} from page {from_page}");
                        in_part += token_bytes;
                    }
                    in_whole += token_bytes;
                }
            }
            assert_eq!((in_part, in_whole), (part.len(), saved.len()), "{name} from page {from_page}");
        }
    }
}

#[test]
fn while_nothing_is_lost_a_state_can_be_cut_to_any_earlier_one() {
    let evicted = EvictedSpec { sink_cap: 70, salient: 6, half_life: 9 };
    for layers in [vec![("evicted", "dense"); 2], vec![("window", "dense"), ("full", "dense"), ("window", "dense")]] {
        for kind in KV_TYPES {
            let spec = ModelSpec { layers: layers.clone(), window: 80, kept: 5, evicted, ..ModelSpec::default() };
            let mut runner = Runner::new(&build(&spec).bytes(), kind);
            let tokens = Random::new(8).tokens(140, spec.vocabulary);
            let mut state = runner.state();
            // The window's last token that is still seen by the next query.
            runner.read(&mut state, &tokens[..79], &[64]);
            let saved = runner.save(&state);
            assert_eq!(number(&saved, HEAD_BYTES), 0);
            for position in [0, 1, 5, 31, 32, 33, 64, 78, 79] {
                let file = cut(&saved, position);
                let mut loaded = runner.load_state(&file).unwrap();
                let mut plain = runner.state();
                runner.read(&mut plain, &tokens[..position], &[64]);
                assert_eq!(runner.save(&plain), file, "{kind:?} at {position}");
                assert_eq!(plain.bytes(), loaded.bytes(), "{kind:?} at {position}");
                let (expected, found) =
                    (runner.read(&mut plain, &tokens[position..], &[64]), runner.read(&mut loaded, &tokens[position..], &[64]));
                assert_eq!(bits(&expected), bits(&found), "{kind:?} from {position}");
            }
        }
    }
}

#[test]
fn a_file_stops_growing_when_its_windows_are_full() {
    let layers = vec![("linear", "dense"), ("window", "dense"), ("evicted", "dense")];
    let tiny = ModelSpec { hidden: 4, heads: 2, kv_heads: 1, head_dim: 2, rope_dim: 2, inner: 4, vocabulary: 5, ..ModelSpec::default() };
    let spec = ModelSpec { layers, window: 40, kept: 3, ..tiny };
    let mut runner = Runner::new(&build(&spec).bytes(), KvType::Int8);
    let tokens = Random::new(1).tokens(64, spec.vocabulary);
    let mut state = runner.state();
    let lengths = [1_000, 10_000, 100_000, 200_000].map(|length| {
        while state.position() < length {
            let count = 64.min(length - state.position());
            runner.skim(&mut state, &tokens[..count]);
        }
        runner.save(&state).len()
    });
    assert!(lengths.iter().all(|length| *length == lengths[0]), "{lengths:?} bytes");
}

#[test]
fn rounded_files_are_smaller_and_load_as_what_they_say() {
    let spec = ModelSpec {
        layers: vec![("linear", "dense"), ("evicted", "dense"), ("window", "dense")],
        window: 20,
        kept: 3,
        ..ModelSpec::default()
    };
    let mut dense = Runner::new(&build(&spec).bytes(), KvType::F32);
    let mut state = dense.state();
    dense.read(&mut state, &Random::new(8).tokens(90, spec.vocabulary), &[64]);
    let exact = dense.save(&state);
    let mode = SaveMode { int8_rows: true, recurrent: RecurrentType::Bf16 };
    let rounded = written(&dense, &state, mode, 0, 1_000);
    assert!(2 * rounded.len() < exact.len(), "{} of {} bytes", rounded.len(), exact.len());
    // Rounded once, it stays as it is, whoever keeps it.
    let loaded = dense.load_state(&rounded).unwrap();
    assert_eq!(written(&dense, &loaded, mode, 0, 1_000), rounded);
    let codes = Runner::new(&build(&spec).bytes(), KvType::Int8);
    let of_codes = codes.load_state(&rounded).unwrap();
    let kept = SaveMode { int8_rows: false, recurrent: RecurrentType::Bf16 };
    assert_eq!(written(&codes, &of_codes, kept, 0, 1_000), rounded);
    // The same numbers, as near as eight bits of a number or of its row's largest are.
    let exact = numbers(&exact);
    let near = numbers(&dense.save(&loaded));
    let largest = exact.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
    assert_eq!(exact.len(), near.len());
    assert!(exact.iter().zip(&near).all(|(x, y)| (x - y).abs() <= largest / 127.0));
    assert!(exact != near);
}

fn numbers(file: &[u8]) -> Vec<f32> {
    file[header_bytes(file)..].chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
}

#[track_caller]
fn refused(runner: &Runner, bytes: &[u8], named: &str) {
    match runner.load_state(bytes) {
        Err(Error::InvalidState(message)) => assert!(message.contains(named), "'{message}' does not name '{named}'"),
        other => panic!("{other:?} where InvalidState naming '{named}' was due"),
    }
}

#[test]
fn a_state_of_another_model_or_type_is_refused_by_name() {
    let spec = ModelSpec::default();
    let mut runner = Runner::new(&build(&spec).bytes(), KvType::F32);
    let (_, saved) = runner.fresh(&[1, 2, 3], &[64]);
    refused(&Runner::new(&build(&spec).bytes(), KvType::Int8), &saved, "its keys and values have type 0; this engine uses Int8");
    let window = ModelSpec { window: spec.window + 1, layers: vec![("window", "dense"); 2], ..spec.clone() };
    refused(&Runner::new(&build(&window).bytes(), KvType::F32), &saved, "another shape");
    let known = Digests { model: [1; 32], tokenizer: [2; 32] };
    for (digests, named) in [
        (Digests { model: [1; 32], ..Digests::default() }, "it was made with other weights"),
        (Digests { tokenizer: [1; 32], ..Digests::default() }, "it was made with other tokenizer"),
    ] {
        let identity = Identity { digests, ..runner.identity() };
        let message = State::load(&identity, &saved).unwrap_err().to_string();
        assert!(message.contains(named), "{message}");
    }
    let mut state = runner.state();
    runner.pass(&mut state, &[1, 2, 3]);
    let of_known = state.save(&Identity { digests: known, ..runner.identity() }).unwrap();
    assert_eq!((&of_known[40..72], &of_known[72..104]), (&[1; 32][..], &[2; 32][..]));
    State::load(&Identity { digests: known, ..runner.identity() }, &of_known).unwrap();
    // Who does not know takes any.
    runner.load_state(&of_known).unwrap();
}

#[test]
fn a_broken_file_is_refused_by_name() {
    let spec = ModelSpec::default();
    let mut runner = Runner::new(&build(&spec).bytes(), KvType::F32);
    let (_, saved) = runner.fresh(&[1, 2, 3], &[64]);
    let put = |at: usize, bytes: &[u8]| [&saved[..at], bytes, &saved[at + bytes.len()..]].concat();
    refused(&runner, b"", "it ends after 0 bytes, within its header");
    refused(&runner, b"GG", "must start with 'SBST'");
    refused(&runner, &put(4, &[2]), "its version must be 3; it is 2");
    refused(&runner, &saved[..9], "it ends after 9 bytes, within its header");
    refused(&runner, &put(8, &[0; 32]), "another shape");
    refused(&runner, &put(POSITION, &u64::MAX.to_le_bytes()), "its position must be from 0 to 1073741824; it is 18446744073709551615");
    refused(&runner, &put(POSITION, &(1u64 << 29).to_le_bytes()), "within the keys and values of a token");
    refused(&runner, &put(POSITION + 8, &[1]), "its count of learned sinks must be 0; it is 1");
    refused(&runner, &put(POSITION + 12, &[1]), "its count of kept tokens must be 0; it is 1");
    refused(&runner, &put(KV_TYPE, &[2]), "must be 0 or 1; it is 2");
    refused(&runner, &put(KV_TYPE + 1, &[2]), "must be 0 or 1; it is 2");
    refused(&runner, &put(KV_TYPE + 2, &[1]), "its field of zeros must be 0; it is 1");
    refused(&runner, &put(HEAD_BYTES, &[1]), "its head's length must be 0; it is 1");
    refused(&runner, &put(GROUPS, &[2]), "its count of groups must be 1; it is 2");
    refused(&runner, &put(GROUPS + 4, &[1]), "its group's window must be 0; it is 1");
    refused(&runner, &put(GROUPS + 8, &[1]), "its group's bytes of a token must be");
    refused(&runner, &put(saved.len() - 4, &f32::NAN.to_le_bytes()), &format!("byte {} is not finite", saved.len() - 4));
    refused(&runner, &[saved.as_slice(), &[0]].concat(), "1 bytes follow its end");
    refused(&runner, &saved[..saved.len() - 1], &format!("it ends after {} bytes, within the keys", saved.len() - 1));
    let recurrent = ModelSpec { layers: vec![("linear", "dense")], ..spec };
    let mut runner = Runner::new(&build(&recurrent).bytes(), KvType::F32);
    let (_, saved) = runner.fresh(&[1, 2, 3], &[64]);
    refused(&runner, &saved[..saved.len() - 1], "within a layer's linear state");
    refused(&runner, &[&saved[..KV_TYPE + 1], &[1], &saved[KV_TYPE + 2..]].concat(), "its head's length must be");
}

#[test]
fn a_window_far_into_a_text_costs_what_a_near_one_costs() {
    let spec = ModelSpec { layers: vec![("window", "dense")], window: 40, ..ModelSpec::default() };
    let mut runner = Runner::new(&build(&spec).bytes(), KvType::F32);
    let (_, near) = runner.fresh(&Random::new(1).tokens(96, spec.vocabulary), &[64]);
    // The same pages, moved by whole pages: what a window's state file holds does not tell where they lie.
    let mut far = near.clone();
    far[POSITION..POSITION + 8].copy_from_slice(&((1u64 << 30) - 64).to_le_bytes());
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
