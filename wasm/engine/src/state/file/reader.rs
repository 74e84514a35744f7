//! A state from bytes that come in chunks of any size.

use super::fields::Fields;
use super::header::{Header, get_header, header_bytes};
use super::layout::Layout;
use super::units::UnitReader;
use super::{Identity, State, invalid};
use crate::config::{Config, Softmax};
use crate::error::Result;
use crate::memory::{Allowance, with_capacity};
use crate::state::evicted_before;

const WHAT: &str = "a part of a state that has not come whole";

/// See the module. After an error it is of no more use.
#[derive(Debug, Default)]
pub struct StateReader {
    /// Bytes of the header or of a unit that has not come whole.
    pending: Vec<u8>,
    /// Bytes that have come before those.
    before: u64,
    body: Option<Body>,
}

#[derive(Debug)]
struct Body {
    state: State,
    layout: Layout,
    units: UnitReader,
    section: usize,
    unit: u64,
    /// What the state will take.
    bytes: usize,
}

impl StateReader {
    /// The file's next bytes. What the state will take is asked of `allowance` as soon as the header is there, before any of it is taken;
    /// anything that is not exactly a state of this model is refused as soon as it comes, by name.
    pub fn push(&mut self, identity: &Identity<'_>, mut bytes: &[u8], allowance: &mut Allowance) -> Result<()> {
        while !bytes.is_empty() {
            let wanted = match &self.body {
                None => header_bytes(identity),
                Some(body) => match body.layout.sections.get(body.section) {
                    Some(section) => section.unit_bytes,
                    None => return Err(invalid(format!("{} bytes follow its end", bytes.len()))),
                },
            };
            if self.pending.is_empty() && bytes.len() >= wanted {
                let (unit, rest) = bytes.split_at(wanted);
                self.take(identity, unit, allowance)?;
                bytes = rest;
                continue;
            }
            if self.pending.capacity() < wanted {
                let mut grown = with_capacity(wanted, WHAT)?;
                grown.append(&mut self.pending);
                self.pending = grown;
            }
            let (chunk, rest) = bytes.split_at(bytes.len().min(wanted - self.pending.len()));
            self.pending.extend_from_slice(chunk);
            bytes = rest;
            if self.pending.len() == wanted {
                let unit = core::mem::take(&mut self.pending);
                self.take(identity, &unit, allowance)?;
                self.pending = unit;
                self.pending.clear();
            } else if self.body.is_none() {
                get_header(&self.pending, identity)?;
            }
        }
        Ok(())
    }

    /// Bytes that the state will take and has not taken yet.
    pub fn reserved(&self) -> usize {
        self.body.as_ref().map_or(0, |body| body.bytes.saturating_sub(body.state.bytes()))
    }

    /// Bytes that the state takes now.
    pub fn bytes(&self) -> usize {
        self.body.as_ref().map_or(0, |body| body.state.bytes())
    }

    /// The state, after the last byte.
    pub fn finish(self, config: &Config) -> Result<State> {
        let came = self.before + self.pending.len() as u64;
        let cut = |part| invalid(format!("it ends after {came} bytes, within {part}"));
        let Some(Body { mut state, layout, section, .. }) = self.body else {
            return Err(cut("its header"));
        };
        if let Some(section) = layout.sections.get(section) {
            return Err(cut(section.content.name()));
        }
        let position = state.position;
        for (layer, of_layer) in config.layers.iter().zip(&mut state.layers) {
            if let Some(key_values) = &mut of_layer.key_values {
                key_values.close_before(position, config.kept())?;
            }
            if let (Some(evicted), Some(Softmax::Window(width))) = (&mut of_layer.evicted, layer.mixer.softmax) {
                evicted.salient.settle(evicted_before(config, width, position));
            }
        }
        Ok(state)
    }

    /// The header, or the next unit.
    fn take(&mut self, identity: &Identity<'_>, bytes: &[u8], allowance: &mut Allowance) -> Result<()> {
        let Some(body) = &mut self.body else {
            self.body = get_header(bytes, identity)?.map(|header| Body::new(identity, header, allowance)).transpose()?;
            self.before = bytes.len() as u64;
            return Ok(());
        };
        let Body { state, layout, units, section, unit, .. } = body;
        if let Some(of_unit) = layout.sections.get(*section) {
            let mut fields = Fields { bytes, at: 0, before: self.before };
            units.get_unit(&mut fields, state, layout, of_unit, *unit)?;
            *unit += 1;
            if *unit == of_unit.units {
                (*section, *unit) = (*section + 1, 0);
            }
        }
        self.before += bytes.len() as u64;
        Ok(())
    }
}

impl Body {
    fn new(identity: &Identity<'_>, Header { position, encoding }: Header, allowance: &mut Allowance) -> Result<Self> {
        let config = identity.part;
        let bytes = State::bytes_at(config, identity.kind, position, 0);
        allowance.take(bytes)?;
        let mut state = State::new(config, identity.kind)?;
        state.position = position;
        let mut most_left = 0;
        for (layer, of_layer) in config.layers.iter().zip(&mut state.layers) {
            if let (Some(evicted), Some(Softmax::Window(width))) = (&mut of_layer.evicted, layer.mixer.softmax) {
                let left = evicted_before(config, width, position);
                evicted.make_room(left)?;
                most_left = left.max(most_left);
            }
        }
        let layout = Layout::new(config, &config.cut, encoding, position, 0);
        Ok(Self { state, layout, units: UnitReader::new(encoding, config.kept(), most_left), section: 0, unit: 0, bytes })
    }
}
