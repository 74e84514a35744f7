//! What comes next in a text.

use llguidance::Matcher;
use llguidance::toktrie::TokTrie;

/// Forced tokens of one step; where more are forced, the next step has them.
const MOST_FORCED: usize = 256;

/// Which tokens follow without a choice, and which may come then.
#[derive(Debug, PartialEq)]
pub struct Step {
    /// Taken in already.
    pub forced: Vec<u32>,
    /// A bit a token; `None` where the text is whole and nothing may follow.
    pub mask: Option<Vec<u32>>,
    /// Whether the text may end.
    pub may_end: bool,
}

impl Step {
    /// One token after another, as if each had been chosen: the same ones come out wherever the text is taken up again.
    /// `without_text`: special tokens, which never come, whatever a grammar says of their numbers.
    pub fn of(matcher: &mut Matcher, without_text: &[u32]) -> Result<Self, String> {
        let tokens = matcher.tok_env().map_err(|error| error.to_string())?;
        let trie = tokens.tok_trie();
        let mut forced = Vec::new();
        while !matcher.is_stopped() && forced.len() < MOST_FORCED {
            match matcher.compute_ff_tokens().first() {
                Some(token) if !trie.eos_tokens().contains(token) => {
                    matcher.consume_token(*token).map_err(|error| error.to_string())?;
                    forced.push(*token);
                }
                _ => break,
            }
        }
        if let Some(message) = matcher.get_error() {
            return Err(message);
        }
        if matcher.is_stopped() {
            if !matcher.stop_reason().is_ok() {
                return Err(matcher.stop_reason().to_string());
            }
            return Ok(Self { forced, mask: None, may_end: true });
        }
        let (mask, may_end) = mask(matcher, trie, without_text)?;
        Ok(Self { forced, mask, may_end })
    }

    /// Whether it may end and whether there is a mask (a bit each of the first byte of four), how many are forced, their ids, the mask's words.
    pub fn to_bytes(&self) -> Vec<u8> {
        let flags = u32::from(self.may_end) | u32::from(self.mask.is_some()) << 1;
        #[allow(clippy::cast_possible_truncation)]
        let head = [flags, self.forced.len() as u32];
        let parts: [&[u32]; 3] = [&head, &self.forced, self.mask.as_deref().unwrap_or_default()];
        // Words of one part after another: a chain of iterators over all of them takes as long as the rest of a step.
        let mut bytes = Vec::with_capacity(4 * parts.iter().map(|part| part.len()).sum::<usize>());
        for part in parts {
            for word in part {
                bytes.extend_from_slice(&word.to_le_bytes());
            }
        }
        bytes
    }
}

fn mask(matcher: &mut Matcher, trie: &TokTrie, without_text: &[u32]) -> Result<(Option<Vec<u32>>, bool), String> {
    let mut mask = matcher.compute_mask().map_err(|error| error.to_string())?;
    let may_end = trie.eos_tokens().iter().any(|token| mask.is_allowed(*token));
    for token in without_text {
        mask.disallow_token(*token);
    }
    match (mask.is_zero(), may_end) {
        (true, true) => Ok((None, true)),
        (true, false) => Err("no token leads on to such a text".to_owned()),
        (false, may_end) => Ok((Some(mask.as_slice().to_vec()), may_end)),
    }
}
