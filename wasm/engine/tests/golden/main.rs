//! The engine agrees with the Python reference: `test/golden`, made by `npm run golden`.

#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod vectors;

use spikingbrain_engine::spike::{Site, SpikeCounts, SpikingMode};
use spikingbrain_engine::state::{Digests, Identity, KvType, State, StateBytes};
use spikingbrain_engine::weights::Inspector;
use spikingbrain_engine::{Engine, SequenceOptions};
use support::running::{StateFiles, error};
use vectors::{Vector, vectors};

/// Of logits, as the root mean square relative to the reference's. What does not spike is rounded to int8 where it meets quantised weights: all
/// inputs in mode `off`, and the head's, which is quantised in files of every type but W8. Where inputs spike, products are exact.
fn tolerance(vector: &Vector) -> f64 {
    match (vector.mode.as_str(), vector.kind.as_str()) {
        (_, "q8_0" | "q4_0" | "q4_1") | ("off", "w8") => 4e-2,
        _ => 1e-4,
    }
}

fn read(engine: &mut Engine, id: u32, tokens: &[u32]) -> Vec<Vec<f32>> {
    engine.feed(id, tokens).unwrap();
    let mut logits = Vec::new();
    engine.read_logits(id, tokens.len(), |row| logits.push(row.to_vec())).unwrap();
    logits
}

fn open(engine: &mut Engine, vector: &Vector) -> u32 {
    engine.open(SequenceOptions { count_spikes: vector.mode != "off", ..SequenceOptions::default() }).unwrap()
}

#[test]
fn logits_are_the_references() {
    for vector in vectors() {
        let mut engine = vector.engine();
        let id = open(&mut engine, &vector);
        let found = error(&read(&mut engine, id, &vector.tokens), &vector.logits);
        assert!(found < tolerance(&vector), "{}: logits are {found:e} away", vector.name);
        let found = error(&read(&mut engine, id, &vector.more_tokens), &vector.more_logits);
        assert!(found < tolerance(&vector), "{}: the logits that follow are {found:e} away", vector.name);
    }
}

#[test]
fn spikes_are_the_references_count_for_count() {
    for vector in vectors().filter(|vector| vector.mode != "off") {
        let mut engine = vector.engine();
        let id = open(&mut engine, &vector);
        read(&mut engine, id, &vector.tokens);
        let meter = engine.spikes(id).unwrap().unwrap();
        assert_eq!(meter.layers().len(), vector.spikes.len());
        for (index, (found, expected)) in meter.layers().iter().zip(&vector.spikes).enumerate() {
            for site in Site::ALL {
                let expected = expected.get(site.name()).map_or_else(SpikeCounts::default, |counts| counts.clone().into());
                assert_eq!(found[site as usize], expected, "{}, layer {index}, {}", vector.name, site.name());
            }
        }
    }
}

#[test]
fn what_is_read_in_parts_or_again_is_counted_once() {
    let vector = vectors().find(|vector| vector.name == "seventy-six-released").unwrap();
    let mut engine = vector.engine();
    let (whole, parts) = (open(&mut engine, &vector), open(&mut engine, &vector));
    read(&mut engine, whole, &vector.tokens);
    engine.feed(parts, &vector.tokens).unwrap();
    engine.step(&[(parts, 11)]).unwrap();
    engine.evict(parts).unwrap();
    engine.step(&[(parts, 20)]).unwrap();
    engine.step(&[(parts, vector.tokens.len() - 20)]).unwrap();
    let of = |engine: &Engine, id| engine.spikes(id).unwrap().unwrap().layers().to_vec();
    assert_eq!(of(&engine, parts), of(&engine, whole));
    let fork = engine.fork(whole).unwrap();
    assert_eq!(of(&engine, fork), vec![[SpikeCounts::default(); Site::ALL.len()]; vector.spikes.len()]);
}

#[test]
fn states_of_the_reference_go_on_and_are_saved_as_they_came() {
    for vector in vectors() {
        let mut engine = vector.engine();
        let id = open(&mut engine, &vector);
        engine.restore(id, &vector.state, &vector.tokens).unwrap();
        assert_eq!(engine.save(id).unwrap(), vector.state, "{}", vector.name);
        let found = error(&read(&mut engine, id, &vector.more_tokens), &vector.more_logits);
        assert!(found < tolerance(&vector), "{}: logits from the state are {found:e} away", vector.name);
    }
}

fn header_bytes(state: &[u8]) -> usize {
    136 + 8 * usize::from(state[132])
}

/// All numbers of a saved state of f32 keys and values.
fn numbers(state: &[u8]) -> impl Iterator<Item = f64> {
    state[header_bytes(state)..].chunks_exact(4).map(|b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]])))
}

#[test]
fn the_engines_own_states_are_the_references() {
    for vector in vectors() {
        let mut engine = vector.engine();
        let id = open(&mut engine, &vector);
        read(&mut engine, id, &vector.tokens);
        let saved = engine.save(id).unwrap();
        assert_eq!(saved.len(), vector.state.len(), "{}", vector.name);
        let header = ..header_bytes(&saved);
        assert_eq!(saved[header], vector.state[header], "{}: header", vector.name);
        if vector.mode == "off" {
            let largest = numbers(&vector.state).fold(0.0, |largest: f64, x| largest.max(x.abs()));
            let furthest = numbers(&saved).zip(numbers(&vector.state)).fold(0.0, |furthest: f64, (x, y)| furthest.max((x - y).abs()));
            assert!(furthest < 5.0 * tolerance(&vector) * largest, "{}: {furthest:e} of {largest:e}", vector.name);
        }
    }
}

#[test]
fn a_state_of_another_spiking_mode_is_refused() {
    let vector = vectors().find(|vector| vector.name == "seven-paper").unwrap();
    let other = vector.model(SpikingMode::Released);
    let identity = Identity { config: other.config(), part: other.part(), kind: KvType::Int8, digests: Digests::default() };
    let message = State::load(&identity, &vector.state).unwrap_err().to_string();
    assert!(message.contains("spiking mode"), "{message}");
}

#[test]
fn counting_needs_a_spiking_mode() {
    let vector = vectors().find(|vector| vector.name == "seven-off").unwrap();
    let message = vector.engine().open(SequenceOptions { count_spikes: true, ..SequenceOptions::default() }).unwrap_err().to_string();
    assert!(message.contains("'paper' or 'released'; it is 'off'"), "{message}");
}

#[test]
fn a_header_alone_tells_what_the_reference_counts() {
    for vector in vectors() {
        let (bytes, mut inspector) = (vector.bytes(), Inspector::default());
        let found = bytes.chunks(999).find_map(|chunk| inspector.push(chunk).unwrap()).unwrap();
        let expected = &vector.sizes;
        assert_eq!((found.parameters, found.active_parameters), (expected.parameters, expected.active_parameters), "{}", vector.name);
        for (kind, states) in [(KvType::F32, &expected.f32), (KvType::Int8, &expected.int8)] {
            for [context, head, pages, per_token] in states {
                assert_eq!(
                    StateBytes::new(&found.config, *context, kind),
                    StateBytes { head: *head, pages: *pages, per_token: *per_token },
                    "{}, {kind:?} after {context}",
                    vector.name
                );
            }
        }
        let model = vector.model(SpikingMode::Off);
        assert_eq!(found.weight_bytes, model.weight_bytes() as u64, "{}", vector.name);
    }
}
