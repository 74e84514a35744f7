//! What a model's header tells.

use crate::bytes;
use crate::thrown::{Thrown, parsed, written};
use crate::wire::{CutRanges, Inspected, PartSize};
use js_sys::Uint8Array;
use spikingbrain_engine::config::Cut;
use spikingbrain_engine::state::{KvType, State};
use spikingbrain_engine::weights::{Inspection, Inspector};
use wasm_bindgen::prelude::*;

/// Reads a GGUF's header and no further.
#[wasm_bindgen]
#[derive(Default)]
pub struct ModelInspector {
    inspector: Inspector,
    inspection: Option<Inspection>,
}

#[wasm_bindgen]
impl ModelInspector {
    /// Of a file that is about to come.
    #[wasm_bindgen(constructor)]
    pub fn new() -> ModelInspector {
        Self::default()
    }

    /// The file's next bytes; whether the header is whole.
    pub fn push(&mut self, chunk: &Uint8Array) -> Result<bool, JsValue> {
        bytes::each_chunk(chunk, &mut Vec::new(), |chunk| {
            if self.inspection.is_none() {
                self.inspection = self.inspector.push(chunk)?;
            }
            Ok(())
        })
        .or_throw()?;
        Ok(self.inspection.is_some())
    }

    /// JSON of the model, with its state's sizes at these contexts.
    pub fn describe(&mut self, contexts: &[u32]) -> Result<String, JsValue> {
        written(&Inspected::new(self.whole()?, contexts))
    }

    /// JSON of what an engine that holds this part of the model (JSON) takes: weights, buffers of passes of so many tokens, and one state of so
    /// many tokens with int8 keys and values.
    #[wasm_bindgen(js_name = partSize)]
    pub fn part_size(&mut self, cut_json: &str, pass_tokens: u32, tokens: u32) -> Result<String, JsValue> {
        let cut: Cut = parsed::<CutRanges>(cut_json, "cut")?.into();
        let inspection = self.whole()?;
        let position = tokens as usize + inspection.config.learned_sinks;
        let memory = inspection.part(&cut, pass_tokens as usize, position).or_throw()?;
        let state = State::part_bytes_at(&inspection.config, &cut, KvType::Int8, position, pass_tokens as usize);
        written(&PartSize::new(memory, state))
    }

    fn whole(&mut self) -> Result<&Inspection, JsValue> {
        let inspection = match self.inspection.take() {
            Some(inspection) => inspection,
            None => core::mem::take(&mut self.inspector).finish().or_throw()?,
        };
        Ok(self.inspection.insert(inspection))
    }
}
