//! The forward pass and the engine around it, against the plain reference and against themselves.

#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod against_reference;
mod cuts;
mod engine;
mod evicted;
mod golden;
mod invariance;
mod random_models;
mod sizes;
mod state_files;
mod transfers;
