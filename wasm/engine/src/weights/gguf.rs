//! Reads a GGUF header (versions 2 and 3, little-endian) from untrusted bytes.
//!
//! Nothing is allocated by a length the file claims: lists grow by what has really been read. Vocabularies and templates, which the engine
//! has no use for, are measured and skipped.

use super::tensor_type::TensorType;
use crate::error::{Error, Result};
use core::fmt;
use std::collections::{BTreeMap, HashSet};

const MAGIC: &[u8; 4] = b"GGUF";
const DEFAULT_ALIGNMENT: u64 = 32;
/// ggml's own limit on dimensions.
const MAX_DIMENSIONS: u32 = 4;
/// A longer string is skipped; no key the engine reads has a longer one.
const MAX_KEPT_STRING_BYTES: u64 = 4_096;
/// A longer array is counted and skipped; per-layer lists are far shorter.
const MAX_KEPT_ITEMS: u64 = 4_096;
/// No real header comes near; bounds what the loader buffers.
pub const MAX_HEADER_BYTES: usize = 64 << 20;
/// Bounds what is kept of a header, which may take several times its bytes in the file. The largest models' tables take a few hundred KiB.
const MAX_KEPT_BYTES: usize = 16 << 20;
/// What a kept entry, item or tensor takes beside its text.
const KEPT_OVERHEAD_BYTES: usize = 192;
/// Bound of a tensor's rows, so that they can be counted on 32-bit hosts.
const MAX_ROWS: u64 = 1 << 31;
/// Most of a text that a message shows, characters.
const SHOWN_CHARACTERS: usize = 60;

/// A metadata value, as far as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Any integer type.
    Integer(i128),
    /// `float32` and `float64`.
    Float(f64),
    /// `bool`.
    Bool(bool),
    /// A short string.
    Text(String),
    /// A short array of short strings.
    Texts(Vec<String>),
    /// A string too long to keep: its length in bytes.
    LongText(u64),
    /// An array that is not kept: its number of items.
    Array(u64),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(n) => write!(f, "{n}"),
            Self::Float(x) => write!(f, "{x}"),
            Self::Bool(flag) => write!(f, "{flag}"),
            Self::Text(text) if text.chars().count() <= SHOWN_CHARACTERS => write!(f, "'{text}'"),
            Self::Text(text) => write!(f, "a string of {} bytes", text.len()),
            Self::Texts(texts) => write!(f, "an array of {} strings", texts.len()),
            Self::LongText(bytes) => write!(f, "a string of {bytes} bytes"),
            Self::Array(items) => write!(f, "an array of {items} items"),
        }
    }
}

/// One entry of the tensor table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Unique name.
    pub name: String,
    /// ggml order: the first is the row length.
    pub dimensions: Vec<usize>,
    /// Element type.
    pub kind: TensorType,
    /// From the start of the file, bytes.
    pub offset: u64,
    /// Bytes of the data.
    pub bytes: u64,
}

impl TensorInfo {
    /// Elements of a row.
    pub fn columns(&self) -> usize {
        self.dimensions.first().copied().unwrap_or(1)
    }

    /// Rows: the product of all dimensions but the first, which the parser has bounded.
    pub fn rows(&self) -> usize {
        self.dimensions.iter().skip(1).product()
    }
}

/// Everything before the tensor data.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Header {
    /// Metadata by key.
    pub metadata: BTreeMap<String, Value>,
    /// By offset, checked not to overlap.
    pub tensors: Vec<TensorInfo>,
    /// Where the data section starts, bytes from the start of the file.
    pub data_offset: u64,
    /// Where the file ends, bytes from its start, the padding after the last tensor included.
    pub end: u64,
}

/// Parses what is there of a file; `None` when the header goes on past `bytes`.
pub fn parse(bytes: &[u8]) -> Result<Option<Header>> {
    let mut cursor = Cursor { bytes, at: 0, kept: 0 };
    match header(&mut cursor) {
        Ok(header) => Ok(Some(header)),
        Err(Stop::NeedMore) => Ok(None),
        Err(Stop::Invalid(error)) => Err(error),
    }
}

enum Stop {
    NeedMore,
    Invalid(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Invalid(error)
    }
}

fn invalid(message: String) -> Stop {
    Stop::Invalid(Error::InvalidGguf(message))
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Bytes of memory that the header's parts have taken.
    kept: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, length: u64) -> core::result::Result<&'a [u8], Stop> {
        let left = self.bytes.len() - self.at;
        match usize::try_from(length) {
            Ok(length) if length <= left => {
                let taken = &self.bytes[self.at..self.at + length];
                self.at += length;
                Ok(taken)
            }
            _ => Err(Stop::NeedMore),
        }
    }

    fn array<const N: usize>(&mut self) -> core::result::Result<[u8; N], Stop> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N as u64)?);
        Ok(out)
    }

    fn u32(&mut self) -> core::result::Result<u32, Stop> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> core::result::Result<u64, Stop> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Counts something that is about to be kept, with a text of so many bytes.
    fn keep(&mut self, text_bytes: usize) -> core::result::Result<(), Stop> {
        self.kept += text_bytes + KEPT_OVERHEAD_BYTES;
        if self.kept > MAX_KEPT_BYTES {
            return Err(invalid(format!("metadata and tensor names take more than {MAX_KEPT_BYTES} bytes")));
        }
        Ok(())
    }

    /// A length-prefixed string; `what` is for the message. Refuses a length no header can have, so that it fails at once and not at the end.
    fn string(&mut self, what: impl FnOnce() -> String) -> core::result::Result<&'a [u8], Stop> {
        let length = self.u64()?;
        if length > MAX_HEADER_BYTES as u64 {
            return Err(invalid(format!("{} claims a length of {length} bytes; at most {MAX_HEADER_BYTES} are possible", what())));
        }
        self.take(length)
    }

    /// Passes over strings, as far as they are there and at most so many; returns how many. Hosts compile anew what runs long, and a vocabulary
    /// does: so it is a small function by itself.
    #[inline(never)]
    fn pass_over(&mut self, count: u64) -> u64 {
        let mut passed = 0;
        while passed < count
            && let Some((length, rest)) = self.bytes[self.at..].split_first_chunk()
            && let Ok(length) = usize::try_from(u64::from_le_bytes(*length))
            && length <= rest.len()
        {
            self.at += size_of::<u64>() + length;
            passed += 1;
        }
        passed
    }

    fn name(&mut self, what: &str) -> core::result::Result<String, Stop> {
        let bytes = self.string(|| what.to_owned())?;
        if bytes.is_empty() || bytes.len() > 65_535 {
            return Err(invalid(format!("{what} has {} bytes; 1 to 65535 are allowed", bytes.len())));
        }
        self.keep(bytes.len())?;
        String::from_utf8(bytes.to_vec()).map_err(|_| invalid(format!("{what} is not UTF-8")))
    }
}

fn header(cursor: &mut Cursor<'_>) -> core::result::Result<Header, Stop> {
    let magic: [u8; 4] = cursor.array()?;
    if &magic != MAGIC {
        return Err(invalid(format!("the file starts with {magic:02x?}, not with 'GGUF'")));
    }
    let version = cursor.u32()?;
    if version != 2 && version != 3 {
        return Err(invalid(format!("version is {version}; 2 and 3 (little-endian) are supported")));
    }
    let (tensor_count, entry_count) = (cursor.u64()?, cursor.u64()?);
    // The smallest entry and tensor take 13 and 24 bytes, so these counts cannot be real.
    if tensor_count > (MAX_HEADER_BYTES / 24) as u64 || entry_count > (MAX_HEADER_BYTES / 13) as u64 {
        return Err(invalid(format!("{tensor_count} tensors and {entry_count} metadata entries do not fit a header")));
    }
    let mut out = Header::default();
    for _ in 0..entry_count {
        let key = cursor.name("a metadata key")?;
        let kind = cursor.u32()?;
        let value = value(cursor, kind, &key)?;
        if out.metadata.insert(key.clone(), value).is_some() {
            return Err(invalid(format!("metadata key '{key}' appears twice")));
        }
    }
    let alignment = match out.metadata.get("general.alignment") {
        None => DEFAULT_ALIGNMENT,
        Some(Value::Integer(n)) if (1..=65_536).contains(n) && n.count_ones() == 1 => u64::try_from(*n).unwrap_or(DEFAULT_ALIGNMENT),
        Some(other) => {
            return Err(invalid(format!("general.alignment must be a power of two up to 65536; it is {other}")));
        }
    };
    let mut names = HashSet::new();
    for _ in 0..tensor_count {
        let info = tensor(cursor, alignment)?;
        if !names.insert(info.name.clone()) {
            return Err(invalid(format!("tensor '{}' appears twice", info.name)));
        }
        out.tensors.push(info);
    }
    out.data_offset = (cursor.at as u64).next_multiple_of(alignment);
    cursor.take(out.data_offset - cursor.at as u64)?;
    place(&mut out, alignment)?;
    Ok(out)
}

fn value(cursor: &mut Cursor<'_>, kind: u32, key: &str) -> core::result::Result<Value, Stop> {
    match kind {
        8 => {
            let bytes = cursor.string(|| format!("the value of '{key}'"))?;
            if bytes.len() as u64 > MAX_KEPT_STRING_BYTES {
                return Ok(Value::LongText(bytes.len() as u64));
            }
            cursor.keep(bytes.len())?;
            String::from_utf8(bytes.to_vec()).map(Value::Text).map_err(|_| invalid(format!("the value of '{key}' is not UTF-8")))
        }
        9 => {
            let (item_kind, count) = (cursor.u32()?, cursor.u64()?);
            array(cursor, item_kind, count, key)
        }
        _ => scalar(cursor, kind, key),
    }
}

fn scalar(cursor: &mut Cursor<'_>, kind: u32, key: &str) -> core::result::Result<Value, Stop> {
    Ok(match kind {
        0 => Value::Integer(i128::from(u8::from_le_bytes(cursor.array()?))),
        1 => Value::Integer(i128::from(i8::from_le_bytes(cursor.array()?))),
        2 => Value::Integer(i128::from(u16::from_le_bytes(cursor.array()?))),
        3 => Value::Integer(i128::from(i16::from_le_bytes(cursor.array()?))),
        4 => Value::Integer(i128::from(cursor.u32()?)),
        5 => Value::Integer(i128::from(i32::from_le_bytes(cursor.array()?))),
        6 => Value::Float(f64::from(f32::from_le_bytes(cursor.array()?))),
        7 => match cursor.array::<1>()? {
            [0] => Value::Bool(false),
            [1] => Value::Bool(true),
            [other] => {
                return Err(invalid(format!("'{key}' is a bool of value {other}; 0 and 1 are allowed")));
            }
        },
        10 => Value::Integer(i128::from(cursor.u64()?)),
        11 => Value::Integer(i128::from(i64::from_le_bytes(cursor.array()?))),
        12 => Value::Float(f64::from_le_bytes(cursor.array()?)),
        other => {
            return Err(invalid(format!("'{key}' has value type {other}; 0 to 12 exist")));
        }
    })
}

fn array(cursor: &mut Cursor<'_>, kind: u32, count: u64, key: &str) -> core::result::Result<Value, Stop> {
    if count > MAX_HEADER_BYTES as u64 {
        return Err(invalid(format!("'{key}' claims {count} items; at most {MAX_HEADER_BYTES} are possible")));
    }
    let item_bytes = match kind {
        0 | 1 | 7 => 1,
        2 | 3 => 2,
        4..=6 => 4,
        8 => return texts(cursor, count, key),
        9 => return Err(invalid(format!("'{key}' is an array of arrays, which is not supported"))),
        10..=12 => 8,
        other => return Err(invalid(format!("'{key}' is an array of type {other}; 0 to 12 exist"))),
    };
    cursor.take(count * item_bytes)?;
    Ok(Value::Array(count))
}

fn texts(cursor: &mut Cursor<'_>, count: u64, key: &str) -> core::result::Result<Value, Stop> {
    let mut texts = (count <= MAX_KEPT_ITEMS).then(Vec::new);
    let passed = if texts.is_none() { cursor.pass_over(count) } else { 0 };
    for _ in passed..count {
        let bytes = cursor.string(|| format!("an item of '{key}'"))?;
        if bytes.len() as u64 > MAX_KEPT_STRING_BYTES {
            texts = None;
        }
        if let Some(texts) = &mut texts {
            cursor.keep(bytes.len())?;
            // Byte-level vocabularies are text; an old file may hold raw bytes, which the engine never reads.
            texts.push(String::from_utf8_lossy(bytes).into_owned());
        }
    }
    Ok(texts.map_or(Value::Array(count), Value::Texts))
}

/// One entry of the tensor table, its offset still relative to the data section.
fn tensor(cursor: &mut Cursor<'_>, alignment: u64) -> core::result::Result<TensorInfo, Stop> {
    let name = cursor.name("a tensor name")?;
    let dimension_count = cursor.u32()?;
    if dimension_count == 0 || dimension_count > MAX_DIMENSIONS {
        return Err(invalid(format!("tensor '{name}' has {dimension_count} dimensions; 1 to {MAX_DIMENSIONS} are allowed")));
    }
    let mut dimensions = Vec::new();
    let mut elements = 1u64;
    for _ in 0..dimension_count {
        let size = cursor.u64()?;
        elements = elements
            .checked_mul(size)
            .filter(|n| *n > 0 && *n < 1 << 44)
            .ok_or_else(|| invalid(format!("tensor '{name}' has a dimension of {size}; the product must be positive and below 2^44")))?;
        dimensions.push(usize::try_from(size).map_err(|_| invalid(format!("tensor '{name}' has a dimension of {size}, too large here")))?);
    }
    let rows = elements / dimensions[0] as u64;
    if rows >= MAX_ROWS {
        return Err(invalid(format!("tensor '{name}' has {rows} rows; the product of all dimensions but the first must be below 2^31")));
    }
    let kind = TensorType::from_ggml(cursor.u32()?, &name)?;
    let offset = cursor.u64()?;
    if !dimensions[0].is_multiple_of(kind.block_elements()) {
        return Err(invalid(format!(
            "tensor '{name}' of type {kind:?} has rows of {} elements; a multiple of {} is needed",
            dimensions[0],
            kind.block_elements()
        )));
    }
    if !offset.is_multiple_of(alignment) {
        return Err(invalid(format!("tensor '{name}' has offset {offset}, which is not a multiple of the alignment {alignment}")));
    }
    let bytes = elements / kind.block_elements() as u64 * kind.block_bytes() as u64;
    Ok(TensorInfo { name, dimensions, kind, offset, bytes })
}

/// Sorts by offset, makes offsets absolute, refuses overlaps, and finds the end.
fn place(header: &mut Header, alignment: u64) -> core::result::Result<(), Stop> {
    header.tensors.sort_by_key(|tensor| tensor.offset);
    let mut end = header.data_offset;
    let mut previous = String::from("the header");
    for tensor in &mut header.tensors {
        tensor.offset = tensor
            .offset
            .checked_add(header.data_offset)
            .filter(|offset| offset.checked_add(tensor.bytes).is_some_and(|end| end < 1 << 63))
            .ok_or_else(|| invalid(format!("tensor '{}' has offset {}, past any file", tensor.name, tensor.offset)))?;
        if tensor.offset < end {
            return Err(invalid(format!("tensor '{}' overlaps {previous}", tensor.name)));
        }
        end = tensor.offset + tensor.bytes;
        previous = format!("tensor '{}'", tensor.name);
    }
    header.end = end.next_multiple_of(alignment);
    Ok(())
}
