//! A model on its way into the engine.

use crate::engine::Engine;
use crate::exchange::{Bound, RankExchange};
use crate::thrown::{Thrown, parsed, thrown};
use crate::wire::LoadOptions;
use crate::{bytes, memory};
use js_sys::Uint8Array;
use spikingbrain_engine::model::Model;
use spikingbrain_engine::weights::Loader;
use spikingbrain_engine::{Engine as Core, Error};
use wasm_bindgen::prelude::*;

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
        Ok(Engine::new(core.with_digests(options.digests())))
    }
}
