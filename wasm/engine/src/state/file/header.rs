//! The front of a state file: what it belongs to, and everything that its length follows from.

use super::super::fingerprint::fingerprint;
use super::super::page::KvType;
use super::fields::Fields;
use super::layout::{Encoding, Group, Layout, RecurrentType, groups};
use super::{Identity, invalid};
use crate::config::{Config, Cut, Softmax};
use crate::error::{Error, Result};

const MAGIC: &[u8; 4] = b"SBST";
const VERSION: u32 = 3;
/// What stands before the groups.
const FIXED_BYTES: usize = 4 + 4 + 32 + 32 + 32 + 8 + 4 + 4 + 1 + 1 + 2 + 8 + 4;
/// Window and bytes of a token.
const GROUP_BYTES: usize = 4 + 4;
/// The longest text whose positions the engine counts.
const MAX_POSITION: usize = 1 << 30;

/// What a reader learns from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub position: usize,
    pub encoding: Encoding,
}

/// Bytes of the header of this model's states.
pub fn header_bytes(identity: &Identity<'_>) -> usize {
    FIXED_BYTES + groups(identity.config, KvType::F32).len() * GROUP_BYTES
}

/// The same whatever part of the file follows.
pub fn put_header(out: &mut Vec<u8>, identity: &Identity<'_>, Header { position, encoding }: Header) {
    let config = identity.config;
    let layout = whole(config, encoding, position);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    for digest in [fingerprint(config), identity.digests.model, identity.digests.tokenizer] {
        out.extend_from_slice(&digest);
    }
    out.extend_from_slice(&(position as u64).to_le_bytes());
    put_u32(out, config.learned_sinks);
    put_u32(out, config.kept());
    out.push(u8::from(encoding.kv == KvType::Int8));
    out.push(u8::from(encoding.recurrent == RecurrentType::Bf16));
    out.extend_from_slice(&[0; 2]);
    out.extend_from_slice(&layout.head_bytes().to_le_bytes());
    put_u32(out, layout.groups.len());
    for group in &layout.groups {
        put_u32(out, window(group));
        put_u32(out, group.token_bytes);
    }
}

/// What the first bytes of a file say, once the header is whole. Whatever is wrong is refused as soon as it is there.
pub fn get_header(bytes: &[u8], identity: &Identity<'_>) -> Result<Option<Header>> {
    let config = identity.config;
    let start = &bytes[..bytes.len().min(MAGIC.len())];
    if !MAGIC.starts_with(start) {
        return Err(invalid(format!("the bytes must start with 'SBST'; they start with {start:?}")));
    }
    let mut fields = Fields { bytes, at: start.len(), before: 0 };
    if bytes.len() < MAGIC.len() + 4 {
        return Ok(None);
    }
    expect("version", fields.u32()?, VERSION)?;
    if bytes.len() < header_bytes(identity) {
        return Ok(None);
    }
    if fields.take(32)? != fingerprint(config) {
        return Err(invalid("it belongs to a model of another shape or spiking mode"));
    }
    let digests = identity.digests;
    for (what, known) in [("weights", digests.model), ("tokenizer", digests.tokenizer)] {
        if fields.take(32)? != known && known != [0; 32] {
            return Err(invalid(format!("it was made with other {what}")));
        }
    }
    let position = fields.u64()?;
    let position = usize::try_from(position).ok().filter(|position| (config.learned_sinks..=MAX_POSITION).contains(position));
    let Some(position) = position else {
        let found = u64::from_le_bytes(bytes[fields.at - 8..fields.at].try_into().unwrap_or_default());
        return Err(invalid(format!("its position must be from {} to {MAX_POSITION}; it is {found}", config.learned_sinks)));
    };
    expect("count of learned sinks", fields.u32()? as usize, config.learned_sinks)?;
    expect("count of kept tokens", fields.u32()? as usize, config.kept())?;
    let encoding = encoding(fields.u8()?, fields.u8()?, identity)?;
    expect("field of zeros", fields.u16()?, 0)?;
    let layout = whole(config, encoding, position);
    expect("head's length", fields.u64()?, layout.head_bytes())?;
    expect("count of groups", fields.u32()? as usize, layout.groups.len())?;
    for group in &layout.groups {
        expect("group's window", fields.u32()? as usize, window(group))?;
        expect("group's bytes of a token", fields.u32()? as usize, group.token_bytes)?;
    }
    Ok(Some(Header { position, encoding }))
}

fn whole(config: &Config, encoding: Encoding, position: usize) -> Layout {
    Layout::new(config, &Cut::whole(config.layers.len(), config.vocabulary), encoding, position, 0)
}

fn encoding(kv: u8, recurrent: u8, identity: &Identity<'_>) -> Result<Encoding> {
    let kv = match (kv, identity.written_kv()) {
        (0, KvType::F32) => KvType::F32,
        // Rounded where it was saved.
        (1, _) if identity.has_rows() => KvType::Int8,
        (0 | 1, kind) => return Err(invalid(format!("its keys and values have type {kv}; this engine uses {kind:?}"))),
        _ => return Err(invalid(format!("the type of its keys and values must be 0 or 1; it is {kv}"))),
    };
    let recurrent = match recurrent {
        0 => RecurrentType::F32,
        1 => RecurrentType::Bf16,
        _ => return Err(invalid(format!("the type of its recurrent part must be 0 or 1; it is {recurrent}"))),
    };
    Ok(Encoding { kv, recurrent })
}

fn expect<T: PartialEq + core::fmt::Display>(what: &str, found: T, due: T) -> Result<()> {
    if found == due { Ok(()) } else { Err(Error::InvalidState(format!("its {what} must be {due}; it is {found}"))) }
}

/// 0 for all of the past.
fn window(group: &Group) -> usize {
    match group.extent {
        Softmax::Full => 0,
        Softmax::Window(width) => width,
    }
}

/// Counts of a config, which are far below the largest u32.
fn put_u32(out: &mut Vec<u8>, value: usize) {
    out.extend_from_slice(&u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes());
}
