//! One sequence's rows in a pass.

use crate::layer::gated_linear::CHUNK_TOKENS;
use crate::state::State;

pub struct Span<'a> {
    pub state: &'a mut State,
    pub first_row: usize,
    pub count: usize,
    pub recurrent_from: usize,
}

/// Cuts `count` tokens that start `text` tokens into the text into whole chunks, aligned to the text's start, and single tokens' runs, as
/// (from, to, whole chunk). The same text is cut the same way whatever the steps, as long as steps end at multiples of a chunk.
pub fn cuts(text: usize, count: usize, recurrent_from: usize) -> impl Iterator<Item = (usize, usize, bool)> {
    let mut next = 0;
    core::iter::from_fn(move || {
        let from = next;
        if from >= count {
            return None;
        }
        let at = text + from;
        let chunk = at.is_multiple_of(CHUNK_TOKENS) && from + CHUNK_TOKENS <= count && at + CHUNK_TOKENS <= recurrent_from;
        let to = if chunk { from + CHUNK_TOKENS } else { from + (CHUNK_TOKENS - at % CHUNK_TOKENS).min(count - from) };
        next = to;
        Some((from, to, chunk))
    })
}

#[cfg(test)]
mod tests {
    fn cuts(text: usize, count: usize, recurrent_from: usize) -> Vec<(usize, usize, bool)> {
        super::cuts(text, count, recurrent_from).collect()
    }

    #[test]
    fn whole_chunks_are_aligned_to_the_text_and_end_with_the_prompt() {
        assert_eq!(cuts(0, 64, usize::MAX), [(0, 32, true), (32, 64, true)]);
        assert_eq!(cuts(0, 40, usize::MAX), [(0, 32, true), (32, 40, false)]);
        assert_eq!(cuts(30, 40, usize::MAX), [(0, 2, false), (2, 34, true), (34, 40, false)]);
        assert_eq!(cuts(0, 64, 50), [(0, 32, true), (32, 64, false)]);
        assert_eq!(cuts(32, 32, 32), [(0, 32, false)]);
        assert_eq!(cuts(7, 0, usize::MAX), []);
    }
}
