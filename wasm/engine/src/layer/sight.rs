//! Which keys a query sees: all before it, or a sliding window and what is kept (`gpu-backend/docs/model.md#53-full-and-window`).

use crate::config::{Config, Softmax};
use crate::state::{PAGE_TOKENS, window_start};

/// Of one softmax branch.
#[derive(Debug, Clone, Copy)]
pub struct Sight {
    /// Full or window.
    pub softmax: Softmax,
    /// Leading positions seen by all.
    pub keep: usize,
    /// Learned sinks, the first of the kept ones, which see one another and nothing later.
    pub sinks: usize,
}

impl Sight {
    /// Of a layer of this model.
    pub fn new(config: &Config, softmax: Softmax) -> Self {
        Self { softmax, keep: config.kept(), sinks: config.learned_sinks }
    }

    /// First position of the window and last visible position.
    pub(super) fn span(&self, position: usize) -> (usize, usize) {
        if position < self.sinks { (0, self.sinks - 1) } else { (window_start(self.softmax, position), position) }
    }

    /// How many keys a query at `position` sees.
    pub fn keys_seen(&self, position: usize) -> usize {
        let (start, end) = self.span(position);
        end + 1 - start + start.min(self.keep)
    }

    pub(super) fn sees(&self, (start, end): (usize, usize), key: usize) -> bool {
        key <= end && (key >= start || key < self.keep)
    }

    pub(super) fn sees_whole_page(&self, (start, end): (usize, usize), first_key: usize) -> bool {
        let last_key = first_key + PAGE_TOKENS - 1;
        last_key <= end && (first_key >= start || last_key < self.keep)
    }
}
