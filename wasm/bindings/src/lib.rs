//! The engine's JavaScript surface, as `wasm/API.md` describes it. Nothing is decided here: types are converted, calls are passed on.

mod bytes;
mod exchange;
mod memory;
mod parts;
mod wire;

use exchange::{Bound, RankExchange};
use js_sys::{Float32Array, Reflect, Uint8Array, Uint32Array};
use spikingbrain_engine::config::Cut;
use spikingbrain_engine::model::Model;
use spikingbrain_engine::state::{KvType, State};
use spikingbrain_engine::token_set::TokenSet;
use spikingbrain_engine::weights::{Inspection, Inspector, Loader};
use spikingbrain_engine::{Engine as Core, Error};
use wasm_bindgen::prelude::*;
use wire::{
    Counts, CutRanges, Description, Inspected, LoadOptions, OpenOptions, PartSize, SampledToken, SaveOptions, StateFile, StateRuns,
    prompt_logprobs,
};

/// An `Error` with `name` and `code`, so that callers route on the code and show the message.
fn thrown(error: &Error) -> JsValue {
    let value = js_sys::Error::new(&error.to_string());
    value.set_name("EngineError");
    // Setting a property of a fresh object cannot fail.
    let _ = Reflect::set(&value, &"code".into(), &error.code().into());
    value.into()
}

fn parsed<T: serde::de::DeserializeOwned>(json: &str, what: &str) -> Result<T, JsValue> {
    serde_json::from_str(json).map_err(|error| thrown(&Error::InvalidArgument(format!("{what}: {error}"))))
}

fn written<T: serde::Serialize>(value: &T) -> Result<String, JsValue> {
    serde_json::to_string(value).map_err(|error| thrown(&Error::InvalidArgument(error.to_string())))
}

fn pairs(plan: &[u32]) -> Result<Vec<(u32, usize)>, JsValue> {
    if !plan.len().is_multiple_of(2) {
        return Err(thrown(&Error::InvalidArgument(format!("a plan is pairs of sequence and count; it has {} numbers", plan.len()))));
    }
    Ok(plan.chunks_exact(2).map(|pair| (pair[0], pair[1] as usize)).collect())
}

trait Thrown<T> {
    fn or_throw(self) -> Result<T, JsValue>;
}

impl<T> Thrown<T> for spikingbrain_engine::Result<T> {
    fn or_throw(self) -> Result<T, JsValue> {
        self.map_err(|error| thrown(&error))
    }
}

/// `scalar`, `simd128` or `relaxed`: what this package was built for.
#[wasm_bindgen]
pub fn kernel() -> String {
    use spikingbrain_engine::kernel::{Active, Kernel};
    Active::NAME.to_owned()
}

/// Where this package's kernels compute another bit than the plain loops that define them, on this host; undefined where nowhere.
#[wasm_bindgen(js_name = kernelDifference)]
pub fn kernel_difference() -> Option<String> {
    spikingbrain_engine::kernel::first_difference()
}

/// Streams a GGUF in.
#[wasm_bindgen]
pub struct ModelLoader {
    loader: Loader,
    options: LoadOptions,
    exchange: Option<RankExchange>,
    /// Where bytes come in, from the first of them on.
    room: Vec<u8>,
}

#[wasm_bindgen]
impl ModelLoader {
    /// Options as JSON: `{ kvType, memoryLimitBytes, spikes, modelDigest, tokenizerDigest, rank, ranks }`. Several ranks have an exchange.
    #[wasm_bindgen(constructor)]
    pub fn new(options_json: &str, exchange: Option<RankExchange>) -> Result<ModelLoader, JsValue> {
        let options: LoadOptions = parsed(options_json, "options")?;
        let weights = options.memory_limit_bytes.map(|limit| limit.saturating_sub(memory::used_bytes()) as u64);
        let loader = Loader::new(weights)
            .with_spikes(options.spikes.map(Into::into))
            .with_rank(options.rank().or_throw()?)
            .with_cut(options.cut.map(Into::into));
        Ok(Self { loader, options, exchange, room: Vec::new() })
    }

    /// The file's next bytes.
    pub fn push(&mut self, chunk: &Uint8Array) -> Result<(), JsValue> {
        bytes::each_chunk(chunk, &mut self.room, |chunk| self.loader.push(chunk)).or_throw()
    }

    /// Room for the file's next bytes in this engine's own memory, where no copy of them is made: of use until the next call of anything.
    pub fn room(&mut self) -> Result<Uint8Array, JsValue> {
        bytes::make_room(&mut self.room, bytes::CHUNK_BYTES).or_throw()?;
        // SAFETY: the bytes are there for as long as the loader, and it leaves them alone until they are handed in.
        Ok(unsafe { Uint8Array::view_mut_raw(self.room.as_mut_ptr(), self.room.len()) })
    }

    /// Takes the first bytes of the room as the file's next.
    #[wasm_bindgen(js_name = pushRoom)]
    pub fn push_room(&mut self, bytes: u32) -> Result<(), JsValue> {
        match self.room.get(..bytes as usize) {
            Some(bytes) => self.loader.push(bytes).or_throw(),
            None => Err(thrown(&Error::InvalidArgument(format!("the room has {} bytes; {bytes} cannot be taken", self.room.len())))),
        }
    }

    /// Where the next byte lies that is needed; infinite once nothing more is.
    #[wasm_bindgen(js_name = neededFrom)]
    pub fn needed_from(&self) -> f64 {
        self.loader.needed_from().map_or(f64::INFINITY, |at| at as f64)
    }

    /// Passes over bytes that are not needed.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn skip(&mut self, bytes: f64) -> Result<(), JsValue> {
        self.loader.skip(bytes as u64).or_throw()
    }

    /// After the last byte.
    pub fn finish(self) -> Result<Engine, JsValue> {
        let Self { loader, options, exchange, room } = self;
        // What is free from here on is what the engine is made to fit.
        drop(room);
        let weights = loader.finish().or_throw()?;
        let model = match exchange {
            Some(exchange) => Model::of_rank(weights, Box::new(Bound(exchange))),
            None => Model::new(weights),
        };
        let model = model.or_throw()?;
        let limit = options.memory_limit_bytes.map(|bytes| (bytes, memory::used_bytes as fn() -> usize));
        let core = Core::new(model, options.kv_type.into(), limit).or_throw()?;
        Ok(Engine { core: core.with_digests(options.digests()) })
    }
}

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

/// A loaded model and its sequences.
#[wasm_bindgen]
pub struct Engine {
    core: Core,
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
        written(&self.core.spikes(sequence).or_throw()?.map(wire::spikes))
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
