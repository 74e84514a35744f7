//! The surface of an engine that holds a part of a model: passes on their way through the parts, and states in each of them.

use crate::bytes::{self, all, floats, of_floats};
use crate::engine::{Engine, pairs};
use crate::thrown::{Thrown, parsed, thrown, written};
use crate::wire::{CutRanges, FileShare};
use js_sys::{Array, Object, Reflect, Uint8Array};
use spikingbrain_engine::Error;
use spikingbrain_engine::config::Cut;
use wasm_bindgen::prelude::*;

/// Owners are whole numbers that JavaScript holds exactly.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn owner_of(owner: f64) -> u64 {
    owner as u64
}

#[wasm_bindgen]
impl Engine {
    /// Most tokens of a pass from now on, where other parts have room for fewer.
    #[wasm_bindgen(js_name = limitPass)]
    pub fn limit_pass(&mut self, tokens: u32) {
        self.core.limit_pass(tokens as usize);
    }

    /// Bytes that a part (JSON) of the model has of a state of so many tokens.
    #[wasm_bindgen(js_name = partBytes)]
    pub fn part_bytes(&self, cut_json: &str, tokens: u32) -> Result<f64, JsValue> {
        let cut: Cut = parsed::<CutRanges>(cut_json, "cut")?.into();
        Ok(self.core.part_bytes(&cut, tokens as usize) as f64)
    }

    /// JSON of what a part has of a state file with this header: `{ head, groups: [tokens, bytes of a token][] }`; `null` while it is not whole.
    #[wasm_bindgen(js_name = partOfFile)]
    pub fn part_of_file(&self, cut_json: &str, header: &Uint8Array, from_page: u32) -> Result<String, JsValue> {
        let cut: Cut = parsed::<CutRanges>(cut_json, "cut")?.into();
        let header = bytes::front(header, self.core.state_header_bytes()).or_throw()?;
        written(&self.core.part_of_file(&cut, &header, from_page as usize).or_throw()?.map(FileShare::from))
    }

    /// Begins a pass: `{ pass, message }`.
    #[wasm_bindgen(js_name = beginPass)]
    pub fn begin_pass(&mut self, owner: f64, plan: &[u32]) -> Result<JsValue, JsValue> {
        let (pass, message) = self.core.begin_pass(owner_of(owner), &pairs(plan)?).or_throw()?;
        let begun = Object::new();
        // Setting a property of a fresh object cannot fail.
        let _ = Reflect::set(&begun, &"pass".into(), &pass.into());
        let _ = Reflect::set(&begun, &"message".into(), &Uint8Array::from(message.as_slice()));
        Ok(begun.into())
    }

    /// Joins rows of parts of the embedding, `[from, to, from, to, ...]` and the bytes of each, into a message.
    #[wasm_bindgen(js_name = joinRows)]
    pub fn join_rows(&self, message: &Uint8Array, ranges: &[u32], rows: &Array) -> Result<Uint8Array, JsValue> {
        let mut parts = Vec::new();
        for (range, rows) in ranges.chunks_exact(2).zip(rows.iter()) {
            let rows = rows.dyn_into::<Uint8Array>().map_err(|_| thrown(&Error::InvalidArgument("rows must be bytes".to_owned())))?;
            parts.push((range[0] as usize..range[1] as usize, floats(&rows).or_throw()?));
        }
        let message = self.core.join_rows(&all(message).or_throw()?, &parts).or_throw()?;
        Ok(Uint8Array::from(message.as_slice()))
    }

    /// Ends a pass; false where the logits of its wanted tokens have still to be taken.
    #[wasm_bindgen(js_name = endPass)]
    pub fn end_pass(&mut self, pass: u32, message: &Uint8Array) -> Result<bool, JsValue> {
        self.core.end_pass(pass, &all(message).or_throw()?).or_throw()
    }

    /// The logits of the next wanted token, over the whole vocabulary; true after the last.
    #[wasm_bindgen(js_name = takeLogits)]
    pub fn take_logits(&mut self, pass: u32, logits: &Uint8Array) -> Result<bool, JsValue> {
        let mut logits = floats(logits).or_throw()?;
        let vocabulary = self.core.model().config().vocabulary;
        if logits.len() != vocabulary {
            return Err(thrown(&Error::InvalidArgument(format!("logits must be {vocabulary} numbers; they are {}", logits.len()))));
        }
        self.core.take_logits(pass, &mut logits).or_throw()
    }

    /// How many tokens' logits a pass wants.
    pub fn wanted(&self, pass: u32) -> Result<u32, JsValue> {
        Ok(u32::try_from(self.core.wanted(pass).or_throw()?).unwrap_or(u32::MAX))
    }

    /// Gives a pass up.
    #[wasm_bindgen(js_name = dropPass)]
    pub fn drop_pass(&mut self, pass: u32) -> Result<(), JsValue> {
        self.core.drop_pass(pass).or_throw()
    }

    /// The learned sinks' rows as the part before this one leaves them; as this one does.
    #[wasm_bindgen(js_name = laySinks)]
    pub fn lay_sinks(&mut self, rows: &Uint8Array) -> Result<Uint8Array, JsValue> {
        let rows = floats(rows).or_throw()?;
        Ok(of_floats(&self.core.lay_sinks(&rows).or_throw()?))
    }

    /// This part of a pass.
    #[wasm_bindgen(js_name = passOn)]
    pub fn pass_on(&mut self, message: &Uint8Array) -> Result<Uint8Array, JsValue> {
        let message = self.core.pass_on(&all(message).or_throw()?).or_throw()?;
        Ok(Uint8Array::from(message.as_slice()))
    }

    /// Rows of the embedding of those of a pass's tokens that this part has.
    #[wasm_bindgen(js_name = embedPart)]
    pub fn embed_part(&self, message: &Uint8Array) -> Result<Uint8Array, JsValue> {
        Ok(of_floats(&self.core.embed_part(&all(message).or_throw()?).or_throw()?))
    }

    /// Logits over this part's rows of the head, of so many of the wanted tokens.
    #[wasm_bindgen(js_name = logitsPart)]
    pub fn logits_part(&mut self, message: &Uint8Array, first: u32, count: u32) -> Result<Uint8Array, JsValue> {
        Ok(of_floats(&self.core.logits_part(&all(message).or_throw()?, first as usize, count as usize).or_throw()?))
    }

    /// The sequence that stands here for an owner's.
    pub fn guest(&mut self, owner: f64, sequence: u32) -> Result<u32, JsValue> {
        self.core.guest(owner_of(owner), sequence).or_throw()
    }

    /// A copy of an owner's sequence under another of its names.
    #[wasm_bindgen(js_name = forkGuest)]
    pub fn fork_guest(&mut self, owner: f64, from: u32, to: u32) -> Result<(), JsValue> {
        self.core.fork_guest(owner_of(owner), from, to).or_throw()
    }

    /// Frees an owner's sequence, if it is here.
    #[wasm_bindgen(js_name = forgetGuest)]
    pub fn forget_guest(&mut self, owner: f64, sequence: u32) {
        self.core.forget_guest(owner_of(owner), sequence);
    }

    /// Frees all of an owner's sequences.
    #[wasm_bindgen(js_name = forgetOwner)]
    pub fn forget_owner(&mut self, owner: f64) {
        self.core.forget_owner(owner_of(owner));
    }
}
