//! How refusals and JSON cross to JavaScript.

use js_sys::Reflect;
use spikingbrain_engine::Error;
use wasm_bindgen::prelude::*;

/// An `Error` with `name` and `code`, so that callers route on the code and show the message.
pub fn thrown(error: &Error) -> JsValue {
    let value = js_sys::Error::new(&error.to_string());
    value.set_name("EngineError");
    // Setting a property of a fresh object cannot fail.
    let _ = Reflect::set(&value, &"code".into(), &error.code().into());
    value.into()
}

/// What JSON says; `what` is for the message.
pub fn parsed<T: serde::de::DeserializeOwned>(json: &str, what: &str) -> Result<T, JsValue> {
    serde_json::from_str(json).map_err(|error| thrown(&Error::InvalidArgument(format!("{what}: {error}"))))
}

/// As JSON.
pub fn written<T: serde::Serialize>(value: &T) -> Result<String, JsValue> {
    serde_json::to_string(value).map_err(|error| thrown(&Error::InvalidArgument(error.to_string())))
}

/// A result whose error JavaScript is to catch.
pub trait Thrown<T> {
    /// See [`thrown`].
    fn or_throw(self) -> Result<T, JsValue>;
}

impl<T> Thrown<T> for spikingbrain_engine::Result<T> {
    fn or_throw(self) -> Result<T, JsValue> {
        self.map_err(|error| thrown(&error))
    }
}
