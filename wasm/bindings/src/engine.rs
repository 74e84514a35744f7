//! A model in memory, as JavaScript drives it.

use crate::thrown::{Thrown, parsed, thrown, written};
use crate::wire::{Counts, Description, OpenOptions, SampledToken, SaveOptions, StateFile, StateRuns, prompt_logprobs, spikes};
use crate::{bytes, memory};
use js_sys::{Float32Array, Uint8Array, Uint32Array};
use spikingbrain_engine::token_set::TokenSet;
use spikingbrain_engine::{Engine as Core, Error};
use wasm_bindgen::prelude::*;

/// A loaded model and its sequences.
#[wasm_bindgen]
pub struct Engine {
    pub(crate) core: Core,
}

impl Engine {
    /// Of what has been loaded.
    pub(crate) fn new(core: Core) -> Self {
        Self { core }
    }
}

#[wasm_bindgen]
impl Engine {
    /// JSON of what is loaded.
    pub fn describe(&self) -> Result<String, JsValue> {
        written(&Description::from(&self.core))
    }

    /// Size of the linear memory.
    #[wasm_bindgen(js_name = memoryBytes)]
    pub fn memory_bytes(&self) -> f64 {
        memory::linear_bytes() as f64
    }

    /// Bytes that state may still take.
    #[wasm_bindgen(js_name = freeStateBytes)]
    pub fn free_state_bytes(&self) -> f64 {
        self.core.free_state_bytes() as f64
    }

    /// Bytes of a state of so many tokens.
    #[wasm_bindgen(js_name = stateBytes)]
    pub fn state_bytes(&self, tokens: u32) -> f64 {
        self.core.state_bytes(tokens as usize) as f64
    }

    /// Bytes of a sequence's state now.
    #[wasm_bindgen(js_name = sequenceBytes)]
    pub fn sequence_bytes(&self, sequence: u32) -> Result<f64, JsValue> {
        Ok(self.core.sequence_bytes(sequence).or_throw()? as f64)
    }

    /// Positions of the tokens that a KV head of an `evicted` layer keeps exactly, slot by slot.
    #[wasm_bindgen(js_name = salientPositions)]
    pub fn salient_positions(&self, sequence: u32, layer: u32, head: u32) -> Result<Vec<u32>, JsValue> {
        self.core.salient_positions(sequence, layer as usize, head as usize).or_throw()
    }

    /// A new sequence; parameters as JSON.
    pub fn open(&mut self, parameters_json: &str) -> Result<u32, JsValue> {
        let options: OpenOptions = parsed(parameters_json, "parameters")?;
        self.core.open(options.into()).or_throw()
    }

    /// Appends tokens to read.
    pub fn feed(&mut self, sequence: u32, tokens: &[u32]) -> Result<(), JsValue> {
        self.core.feed(sequence, tokens).or_throw()
    }

    /// Tokens still to read.
    pub fn pending(&self, sequence: u32) -> Result<u32, JsValue> {
        let pending = self.core.pending(sequence).or_throw()?;
        Ok(u32::try_from(pending).unwrap_or(u32::MAX))
    }

    /// `[sequence, count, sequence, count, ...]`
    pub fn step(&mut self, plan: &[u32]) -> Result<(), JsValue> {
        self.core.step(&pairs(plan)?).or_throw()
    }

    /// The next token, as JSON.
    pub fn sample(&mut self, sequence: u32) -> Result<String, JsValue> {
        written(&SampledToken::from(self.core.sample(sequence).or_throw()?))
    }

    /// On ranks beside the first: what that has sampled, nothing for a stop token.
    pub fn accept(&mut self, sequence: u32, token: Option<u32>) -> Result<(), JsValue> {
        self.core.accept(sequence, token).or_throw()
    }

    /// Of which the next tokens are chosen, a bit a token; of all where it is left out.
    #[wasm_bindgen(js_name = setMask)]
    pub fn set_mask(&mut self, sequence: u32, mask: Option<Vec<u8>>) -> Result<(), JsValue> {
        self.core.set_mask(sequence, mask.as_deref()).or_throw()
    }

    /// Appends tokens as if they had been chosen.
    pub fn force(&mut self, sequence: u32, tokens: &[u32]) -> Result<(), JsValue> {
        self.core.force(sequence, tokens).or_throw()
    }

    /// Scores of prompt tokens, as JSON.
    #[wasm_bindgen(js_name = takePromptLogprobs)]
    pub fn take_prompt_logprobs(&mut self, sequence: u32) -> Result<String, JsValue> {
        written(&prompt_logprobs(self.core.take_prompt_logprobs(sequence).or_throw()?))
    }

    /// Reads so many pending tokens and returns the logits after each, `[count, vocabulary]`; none on ranks beside the first.
    #[wasm_bindgen(js_name = readLogits)]
    pub fn read_logits(&mut self, sequence: u32, count: u32) -> Result<Float32Array, JsValue> {
        let vocabulary = self.core.model().config().vocabulary;
        self.core.check_pending(sequence, count as usize).or_throw()?;
        let rows = if self.core.model().rank().number() == 0 { count as usize } else { 0 };
        let length = u32::try_from(rows.saturating_mul(vocabulary));
        let length = length.map_err(|_| thrown(&Error::InvalidArgument(format!("count must be smaller; it is {count}"))))?;
        let out = Float32Array::new_with_length(length);
        let mut at = 0;
        let put = |logits: &[f32]| {
            let end = at + logits.len() as u32;
            out.subarray(at, end).copy_from(logits);
            at = end;
        };
        self.core.read_logits(sequence, count as usize, put).or_throw()?;
        Ok(out)
    }

    /// What the sequence has fired by layer and site, as JSON; `null` where that is not counted.
    #[wasm_bindgen(js_name = spikeCounts)]
    pub fn spike_counts(&self, sequence: u32) -> Result<String, JsValue> {
        written(&self.core.spikes(sequence).or_throw()?.map(spikes))
    }

    /// The same of all layers and sites together.
    #[wasm_bindgen(js_name = spikeTotals)]
    pub fn spike_totals(&self, sequence: u32) -> Result<String, JsValue> {
        written(&self.core.spikes(sequence).or_throw()?.map(|meter| Counts::from(meter.total())))
    }

    /// Drops the state, keeps the tokens.
    pub fn evict(&mut self, sequence: u32) -> Result<(), JsValue> {
        self.core.evict(sequence).or_throw()
    }

    /// A copy.
    pub fn fork(&mut self, sequence: u32) -> Result<u32, JsValue> {
        self.core.fork(sequence).or_throw()
    }

    /// Begins to save; how many bytes will come.
    #[wasm_bindgen(js_name = beginSave)]
    pub fn begin_save(&mut self, sequence: u32, from_page: u32, mode_json: &str) -> Result<f64, JsValue> {
        let options: SaveOptions = parsed(mode_json, "mode")?;
        Ok(self.core.begin_save(sequence, from_page as usize, options.into()).or_throw()? as f64)
    }

    /// The next bytes, at most so many.
    #[wasm_bindgen(js_name = readSaved)]
    pub fn read_saved(&mut self, sequence: u32, most: u32) -> Result<Uint8Array, JsValue> {
        let left = self.core.saved_left(sequence).or_throw()?;
        let mut wanted = u32::try_from(left).unwrap_or(u32::MAX).min(most);
        let out = bytes::Filling::new(wanted);
        while wanted > 0 {
            let part = self.core.read_saved(sequence, wanted as usize).or_throw()?;
            out.put(part);
            wanted -= part.len() as u32;
        }
        Ok(out.into_array())
    }

    /// After the last bytes, or before.
    #[wasm_bindgen(js_name = endSave)]
    pub fn end_save(&mut self, sequence: u32) -> Result<(), JsValue> {
        self.core.end_save(sequence).or_throw()
    }

    /// Begins to give an empty sequence a state that these tokens made.
    #[wasm_bindgen(js_name = beginRestore)]
    pub fn begin_restore(&mut self, sequence: u32, seen: &Uint32Array) -> Result<(), JsValue> {
        let mut set = TokenSet::new(self.core.model().config().vocabulary);
        bytes::each_number(seen, |tokens| set.insert(tokens)).or_throw()?;
        self.core.begin_restore(sequence, set).or_throw()
    }

    /// The state file's next bytes.
    #[wasm_bindgen(js_name = pushState)]
    pub fn push_state(&mut self, sequence: u32, chunk: &Uint8Array) -> Result<(), JsValue> {
        if chunk.length() == 0 {
            return self.core.push_state(sequence, &[]).or_throw();
        }
        bytes::each_chunk(chunk, &mut Vec::new(), |chunk| self.core.push_state(sequence, chunk)).or_throw()
    }

    /// Bytes of a state file's header.
    #[wasm_bindgen(js_name = stateHeaderBytes)]
    pub fn state_header_bytes(&self) -> u32 {
        u32::try_from(self.core.state_header_bytes()).unwrap_or(u32::MAX)
    }

    /// How the ranks' parts lie in a state file without the rows of tokens in pages before `fromPage`, as JSON; `null` while its first bytes
    /// are too few.
    #[wasm_bindgen(js_name = stateRuns)]
    pub fn state_runs(&self, first_bytes: &Uint8Array, from_page: u32) -> Result<String, JsValue> {
        let header_bytes = self.core.state_header_bytes();
        let header = bytes::front(first_bytes, header_bytes).or_throw()?;
        let runs = self.core.state_runs(&header, from_page as usize).or_throw()?;
        written(&runs.map(|runs| StateRuns::new(header_bytes, &runs)))
    }

    /// After the last byte; tokens that the state has read.
    #[wasm_bindgen(js_name = endRestore)]
    pub fn end_restore(&mut self, sequence: u32) -> Result<u32, JsValue> {
        Ok(self.core.end_restore(sequence).or_throw()? as u32)
    }

    /// What a state file's first bytes say, as JSON; `null` while they are too few.
    #[wasm_bindgen(js_name = describeState)]
    pub fn describe_state(&self, first_bytes: &Uint8Array) -> Result<String, JsValue> {
        let header = bytes::front(first_bytes, self.core.state_header_bytes()).or_throw()?;
        written(&self.core.describe_state(&header).or_throw()?.map(StateFile::from))
    }

    /// Frees a sequence.
    pub fn close(&mut self, sequence: u32) -> Result<(), JsValue> {
        self.core.close(sequence).or_throw()
    }
}

/// Sequences of a plan, with how many tokens each reads.
pub(crate) fn pairs(plan: &[u32]) -> Result<Vec<(u32, usize)>, JsValue> {
    if !plan.len().is_multiple_of(2) {
        return Err(thrown(&Error::InvalidArgument(format!("a plan is pairs of sequence and count; it has {} numbers", plan.len()))));
    }
    Ok(plan.chunks_exact(2).map(|pair| (pair[0], pair[1] as usize)).collect())
}
