//! The tensor table and the values in the tensors.

use crate::support::gguf_file::{FileTensor, Meta, ggml_number};
use crate::support::models::{GateForm, ModelSpec, TestModel, build};
use crate::support::refusals::{refusal, refuses, tiny, tiny_spec};
use crate::support::running::load;
use half::f16;
use spikingbrain_engine::weights::TensorType;

const INVALID: &str = "invalid_gguf";
const UNSUPPORTED: &str = "unsupported_model";
const QUERY: &str = "blk.1.attn_q.weight";

#[test]
fn a_missing_tensor_is_named() {
    for name in ["token_embd.weight", "output_norm.weight", QUERY, "blk.0.attn_gate.bias", "blk.0.attn_head_norm.weight"] {
        let missing = |model: &mut TestModel| {
            let index = model.index(name);
            model.tensors.remove(index);
        };
        refuses(missing, INVALID, &[&format!("tensor '{name}' is missing")]);
    }
}

#[test]
fn a_tensor_without_a_place_is_named() {
    for name in ["rope_freqs.weight", "blk.2.attn_q.weight", "blk.1.attn_gate.weight", "blk.0.attn_q.bia"] {
        let added = |model: &mut TestModel| {
            let tensor = FileTensor { name: name.into(), dimensions: vec![4], kind: 0, offset: None, bytes: vec![0; 16] };
            model.tensors.push(tensor);
        };
        refuses(added, UNSUPPORTED, &[&format!("tensor '{name}' has no place in a 'spikingbrain' model")]);
    }
}

#[test]
fn a_tensor_that_appears_twice_is_named() {
    let twice = |model: &mut TestModel| {
        let copy = model.tensor(QUERY).clone();
        model.tensors.push(copy);
    };
    refuses(twice, INVALID, &["'blk.1.attn_q.weight' appears twice"]);
}

#[test]
fn dimensions_that_lie_are_named() {
    let set = |dimensions: &[u64]| {
        let dimensions = dimensions.to_vec();
        move |model: &mut TestModel| model.tensor(QUERY).dimensions = dimensions
    };
    refuses(set(&[]), INVALID, &[QUERY, "has 0 dimensions"]);
    refuses(set(&[1; 5]), INVALID, &[QUERY, "has 5 dimensions"]);
    refuses(set(&[4, 0]), INVALID, &[QUERY, "a dimension of 0"]);
    refuses(set(&[4, u64::MAX]), INVALID, &[QUERY, &format!("a dimension of {}", u64::MAX)]);
    refuses(set(&[1 << 22, 1 << 22]), INVALID, &[QUERY, "below 2^44"]);
    refuses(set(&[1, 1 << 31]), INVALID, &[QUERY, "2147483648 rows", "below 2^31"]);
    refuses(set(&[2, 65_536, 65_537]), INVALID, &[QUERY, "rows", "below 2^31"]);
    // The right number of bytes in another shape.
    refuses(set(&[2, 8]), INVALID, &[QUERY, "[2, 8]", "4 rows of 4"]);
    refuses(set(&[16]), INVALID, &[QUERY, "[16]", "4 rows of 4"]);
}

#[test]
fn a_vector_must_be_a_vector() {
    let name = "blk.0.attn_norm.weight";
    refuses(|model| model.tensor(name).dimensions = vec![1, 4], INVALID, &[name, "[1, 4]"]);
    refuses(|model| model.tensor(name).dimensions = vec![3], INVALID, &[name, "[3]"]);
}

#[test]
fn types_without_code_for_them_are_named() {
    for kind in [4, 6, 7, 9, 12, 14, 25, 28, 39, u32::MAX] {
        refuses(|model| model.tensor(QUERY).kind = kind, UNSUPPORTED, &[QUERY, &format!("ggml type {kind}")]);
    }
}

#[test]
fn blocks_must_divide_rows() {
    for (kind, name) in [(2, "Q4_0"), (3, "Q4_1"), (8, "Q8_0")] {
        refuses(|model| model.tensor(QUERY).kind = kind, INVALID, &[QUERY, name, "rows of 4 elements", "a multiple of 32"]);
    }
}

#[test]
fn offsets_that_lie_are_named() {
    let set = |offset: u64| move |model: &mut TestModel| model.tensor(QUERY).offset = Some(offset);
    refuses(set(33), INVALID, &[QUERY, "offset 33", "alignment 32"]);
    refuses(set(0), INVALID, &["overlaps tensor"]);
    refuses(set(u64::MAX - 31), INVALID, &[QUERY, "past any file"]);
    refuses(set(1 << 40), INVALID, &["the file ends after", QUERY]);
    let overlapping = |model: &mut TestModel| {
        let first = model.tensors[0].clone();
        model.tensors[1].offset = Some(first.bytes.len() as u64 / 32 * 32);
    };
    refuses(overlapping, INVALID, &["overlaps tensor 'token_embd.weight'"]);
}

#[test]
fn tensors_may_lie_in_any_order_with_gaps() {
    let model = build(&ModelSpec { seed: 5, ..tiny_spec() });
    let mut moved = model.clone();
    // The offsets of the file as it stands, handed out backwards and 64 bytes apart from one another.
    let mut at = 0u64;
    for tensor in moved.tensors.iter_mut().rev() {
        tensor.offset = Some(at);
        at += tensor.bytes.len().next_multiple_of(32) as u64 + 64;
    }
    let (table, data) = {
        let bytes = moved.bytes();
        let data: usize = moved.tensors.iter().map(|tensor| tensor.bytes.len().next_multiple_of(32)).sum();
        (bytes[..bytes.len() - data].to_vec(), at as usize)
    };
    let mut file = table.clone();
    file.resize(table.len() + data, 0);
    for tensor in &moved.tensors {
        let start = table.len() + tensor.offset.unwrap() as usize;
        file[start..start + tensor.bytes.len()].copy_from_slice(&tensor.bytes);
    }
    file.truncate(table.len() + data - 64);
    let logits = |bytes: &[u8]| {
        let mut runner = crate::support::running::Runner::new(bytes, spikingbrain_engine::state::KvType::F32);
        runner.fresh(&[1, 2, 3], &[64])
    };
    assert_eq!(logits(&file), logits(&model.bytes()));
}

#[test]
fn numbers_that_are_not_finite_are_refused_in_every_type() {
    let not_finite = [f16::NAN, f16::INFINITY, f16::NEG_INFINITY];
    for name in ["token_embd.weight", "output.weight", "blk.1.attn_norm.weight", "blk.0.attn_gate.bias"] {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let set = |model: &mut TestModel| {
                let bytes = &mut model.tensor(name).bytes;
                let end = bytes.len();
                bytes[end - 4..].copy_from_slice(&value.to_le_bytes());
            };
            refuses(set, INVALID, &[&format!("tensor '{name}'"), "not finite"]);
        }
    }
    let blocks = ModelSpec {
        hidden: 32,
        heads: 2,
        kv_heads: 1,
        head_dim: 16,
        rope_dim: 16,
        inner: 32,
        vocabulary: 3,
        gate: GateForm::Merged,
        ..tiny_spec()
    };
    for kind in [TensorType::F16, TensorType::Bf16, TensorType::Q8_0, TensorType::Q4_0, TensorType::Q4_1] {
        let places: &[usize] = if kind == TensorType::Q4_1 { &[0, 2] } else { &[0] };
        for place in places {
            for value in not_finite {
                let mut model = build(&ModelSpec { kind, ..blocks.clone() });
                let value = if kind == TensorType::Bf16 { half::bf16::from_f32(value.to_f32()).to_le_bytes() } else { value.to_le_bytes() };
                model.tensor("output.weight").bytes[*place..*place + 2].copy_from_slice(&value);
                let (code, message) = refusal(&model.bytes());
                assert_eq!(code, INVALID, "{kind:?}: {message}");
                assert!(message.contains("'output.weight'") && message.contains("row 0"), "{kind:?}: {message}");
            }
        }
    }
}

#[test]
fn a_gate_may_be_merged_or_of_low_rank_and_not_half_of_each() {
    let low_rank = build(&ModelSpec { gate: GateForm::LowRank(3), ..tiny_spec() });
    load(&low_rank.bytes());
    let mut half = low_rank.clone();
    half.tensors.remove(half.index("blk.0.attn_gate_b.weight"));
    assert!(refusal(&half.bytes()).1.contains("'blk.0.attn_gate_b.weight' is missing"));
    let mut both = low_rank;
    both.tensors.push(tiny().tensor("blk.0.attn_gate.weight").clone());
    assert!(refusal(&both.bytes()).1.contains("'blk.0.attn_gate.weight' has no place"));
}

#[test]
fn a_gate_of_absurd_rank_is_refused_before_it_is_read() {
    let mut model = build(&ModelSpec { gate: GateForm::LowRank(3), ..tiny_spec() });
    let rank = (1u64 << 20) + 32;
    for (name, dimensions) in [("blk.0.attn_gate_a.weight", vec![4, rank]), ("blk.0.attn_gate_b.weight", vec![rank, 2])] {
        model.tensor(name).dimensions = dimensions;
    }
    // Behind one another, far from the others: only the table is looked at.
    model.tensor("blk.0.attn_gate_a.weight").offset = Some(1 << 32);
    model.tensor("blk.0.attn_gate_b.weight").offset = Some(1 << 33);
    let (code, message) = refusal(&model.bytes());
    assert_eq!(code, INVALID);
    assert!(message.contains("'blk.0.attn_gate_b.weight' has rows of 1048608"), "{message}");
}

#[test]
fn a_quantised_norm_is_decoded() {
    let mut model = build(&ModelSpec { hidden: 32, ..tiny_spec() });
    let values: Vec<f32> = (0..32).map(|index| index as f32 / 8.0 - 2.0).collect();
    let tensor = model.tensor("output_norm.weight");
    tensor.kind = ggml_number(TensorType::Q8_0);
    tensor.bytes = spikingbrain_engine::weights::matrix::encode_row(TensorType::Q8_0, &values);
    model.set("general.name", Meta::Text("quantised norm".into()));
    load(&model.bytes());
}
