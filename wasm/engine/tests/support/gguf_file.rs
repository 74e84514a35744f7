//! A writer of GGUF version 3, and a decoder of its tensor types, both from the format's description and not from the engine's reader.

use half::{bf16, f16};
use spikingbrain_engine::weights::TensorType;

/// A metadata value.
#[derive(Debug, Clone)]
pub enum Meta {
    U32(u32),
    U64(u64),
    I32(i32),
    F32(f32),
    Bool(bool),
    Text(String),
    Texts(Vec<String>),
    /// Raw: value type and payload, for what no honest writer would write.
    Raw(u32, Vec<u8>),
}

/// A tensor with its bytes as they stand in the file.
#[derive(Debug, Clone)]
pub struct FileTensor {
    pub name: String,
    /// ggml order: the row length first.
    pub dimensions: Vec<u64>,
    /// ggml's number of the type.
    pub kind: u32,
    /// Where it claims to start, in place of where it does.
    pub offset: Option<u64>,
    pub bytes: Vec<u8>,
}

pub const ALIGNMENT: usize = 32;

pub fn ggml_number(kind: TensorType) -> u32 {
    match kind {
        TensorType::F32 => 0,
        TensorType::F16 => 1,
        TensorType::Q4_0 => 2,
        TensorType::Q4_1 => 3,
        TensorType::Q8_0 => 8,
        TensorType::I8 => 24,
        TensorType::I32 => 26,
        TensorType::Bf16 => 30,
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn put_meta(out: &mut Vec<u8>, meta: &Meta) {
    let number: u32 = match meta {
        Meta::U32(_) => 4,
        Meta::I32(_) => 5,
        Meta::F32(_) => 6,
        Meta::Bool(_) => 7,
        Meta::Text(_) => 8,
        Meta::Texts(_) => 9,
        Meta::U64(_) => 10,
        Meta::Raw(number, _) => *number,
    };
    out.extend(number.to_le_bytes());
    match meta {
        Meta::U32(n) => out.extend(n.to_le_bytes()),
        Meta::I32(n) => out.extend(n.to_le_bytes()),
        Meta::F32(x) => out.extend(x.to_le_bytes()),
        Meta::Bool(flag) => out.push(u8::from(*flag)),
        Meta::Text(text) => put_text(out, text),
        Meta::Texts(texts) => {
            out.extend(8u32.to_le_bytes());
            out.extend((texts.len() as u64).to_le_bytes());
            texts.iter().for_each(|text| put_text(out, text));
        }
        Meta::U64(n) => out.extend(n.to_le_bytes()),
        Meta::Raw(_, bytes) => out.extend(bytes),
    }
}

/// The whole file.
pub fn write(metadata: &[(String, Meta)], tensors: &[FileTensor]) -> Vec<u8> {
    let mut out = b"GGUF".to_vec();
    out.extend(3u32.to_le_bytes());
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend((metadata.len() as u64).to_le_bytes());
    for (key, meta) in metadata {
        put_text(&mut out, key);
        put_meta(&mut out, meta);
    }
    let mut offset = 0u64;
    for tensor in tensors {
        put_text(&mut out, &tensor.name);
        out.extend((tensor.dimensions.len() as u32).to_le_bytes());
        for size in &tensor.dimensions {
            out.extend(size.to_le_bytes());
        }
        out.extend(tensor.kind.to_le_bytes());
        out.extend(tensor.offset.unwrap_or(offset).to_le_bytes());
        offset += tensor.bytes.len().next_multiple_of(ALIGNMENT) as u64;
    }
    out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
    for tensor in tensors {
        out.extend(&tensor.bytes);
        out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
    }
    out
}

/// What a row's bytes are worth.
pub fn decode_row(kind: TensorType, bytes: &[u8]) -> Vec<f64> {
    let half_at = |block: &[u8], at: usize| f64::from(f16::from_le_bytes([block[at], block[at + 1]]).to_f32());
    let nibbles = |codes: &[u8]| -> Vec<f64> {
        let low = codes.iter().map(|pair| f64::from(pair & 15));
        low.chain(codes.iter().map(|pair| f64::from(pair >> 4))).collect()
    };
    match kind {
        TensorType::F32 => bytes.chunks_exact(4).map(|b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]]))).collect(),
        // Codes, without the scales that stand beside them.
        TensorType::I8 => bytes.iter().map(|code| f64::from(*code as i8)).collect(),
        TensorType::I32 => bytes.chunks_exact(4).map(|b| f64::from(i32::from_le_bytes([b[0], b[1], b[2], b[3]]))).collect(),
        TensorType::F16 => bytes.chunks_exact(2).map(|b| half_at(b, 0)).collect(),
        TensorType::Bf16 => bytes.chunks_exact(2).map(|b| f64::from(bf16::from_le_bytes([b[0], b[1]]).to_f32())).collect(),
        TensorType::Q8_0 => bytes
            .chunks_exact(34)
            .flat_map(|b| {
                let d = half_at(b, 0);
                b[2..].iter().map(move |code| d * f64::from(*code as i8))
            })
            .collect(),
        TensorType::Q4_0 => bytes
            .chunks_exact(18)
            .flat_map(|b| {
                let d = half_at(b, 0);
                nibbles(&b[2..]).into_iter().map(move |code| d * (code - 8.0))
            })
            .collect(),
        TensorType::Q4_1 => bytes
            .chunks_exact(20)
            .flat_map(|b| {
                let (d, m) = (half_at(b, 0), half_at(b, 2));
                nibbles(&b[4..]).into_iter().map(move |code| d * code + m)
            })
            .collect(),
    }
}
