//! GGUF's `llama` files hold the rows of q and k in the interleaved rotary order: the same weights in the half-split order are the same model.

use crate::support::gguf_file::Meta;
use crate::support::models::catalogue::in_blocks;
use crate::support::models::{ModelSpec, TestModel, build};
use crate::support::random::Random;
use crate::support::running::{KV_TYPES, Runner, bits};
use spikingbrain_engine::weights::TensorType;

/// The model's file under `spikingbrain`, its q and k rows where the half-split order has them.
fn half_split(model: &TestModel) -> TestModel {
    let mut out = model.clone();
    let spec = &model.spec;
    for (key, _) in &mut out.metadata {
        *key = key.replace("llama.", "spikingbrain.");
    }
    out.set("general.architecture", Meta::Text("spikingbrain".into()));
    out.set("spikingbrain.layer.mixers", Meta::Texts(vec!["full".into(); spec.layers.len()]));
    for tensor in out.tensors.iter_mut().filter(|tensor| tensor.name.contains(".attn_q.") || tensor.name.contains(".attn_k.")) {
        let row_count = if tensor.dimensions.len() == 1 { tensor.dimensions[0] } else { tensor.dimensions[1] } as usize;
        let rows: Vec<&[u8]> = tensor.bytes.chunks(tensor.bytes.len() / row_count).collect();
        // Pairs side by side in the file: first halves, then second halves here.
        let order = (0..row_count).map(|row| {
            let (head, within) = (row / spec.head_dim, row % spec.head_dim);
            let (pair, second) = (within % (spec.head_dim / 2), within / (spec.head_dim / 2));
            head * spec.head_dim + 2 * pair + second
        });
        tensor.bytes = order.flat_map(|row| rows[row].to_vec()).collect();
    }
    out
}

#[test]
fn interleaved_rows_equal_half_split_ones() {
    let kinds = [TensorType::F32, TensorType::F16, TensorType::Q8_0, TensorType::Q4_0, TensorType::Q4_1];
    // Heads of 16 rows are packed by the panel, those of 10 row by row.
    for (head_dim, kind) in [10, 16].into_iter().flat_map(|head_dim| kinds.map(|kind| (head_dim, kind))) {
        let rows = ModelSpec { head_dim, rope_dim: head_dim, ..ModelSpec::default() };
        let base = ModelSpec { architecture: "llama", biases: true, heads: 6, kv_heads: 3, ..rows };
        let spec = if kind.is_quantised() { in_blocks(&base, kind) } else { ModelSpec { kind, ..base.clone() } };
        let interleaved = build(&spec);
        let tokens = Random::new(3).tokens(50, spec.vocabulary);
        for kv in KV_TYPES {
            let logits = |model: &TestModel| bits(&Runner::new(&model.bytes(), kv).fresh(&tokens, &[64]).0);
            let expected = logits(&interleaved);
            assert_eq!(expected, logits(&half_split(&interleaved)), "{kind:?}, {kv:?}, heads of {head_dim}");
            // The other order is another model, so the test can tell.
            let mut as_it_stands = half_split(&interleaved);
            as_it_stands.tensors = interleaved.tensors.clone();
            assert_ne!(expected, logits(&as_it_stands), "{kind:?}, {kv:?}, heads of {head_dim}");
        }
    }
}
