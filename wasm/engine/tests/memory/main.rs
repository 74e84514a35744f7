//! What loading and running take, counted by the allocator.

#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod hostile_table;
mod loading;
mod mutations;
mod running;

#[global_allocator]
static ALLOCATOR: support::tracking::Tracking = support::tracking::Tracking;
