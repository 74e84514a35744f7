//! From a file's bytes to weights: what is refused and how, and that chunks and orders do not show.

#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod config;
mod header;
mod inspection;
mod orders;
mod products;
mod streaming;
mod tensors;
