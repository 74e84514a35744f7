//! Which tokens of a vocabulary a text holds: as large after a million tokens as after one.

use crate::error::{Error, Result};
use crate::memory::with_capacity;

const WHAT: &str = "the tokens that a text holds";

/// A bit a token. An empty one takes no memory.
#[derive(Debug, PartialEq)]
pub struct TokenSet {
    words: Vec<u64>,
    vocabulary: usize,
}

impl TokenSet {
    /// None of so many.
    pub fn new(vocabulary: usize) -> Self {
        Self { words: Vec::new(), vocabulary }
    }

    /// The tokens whose bits are set, the lowest bit of the first byte first. Bits beyond the vocabulary say nothing.
    pub fn from_bits(vocabulary: usize, bits: &[u8]) -> Result<Self> {
        if bits.len() < vocabulary.div_ceil(8) {
            let least = vocabulary.div_ceil(8);
            return Err(Error::InvalidArgument(format!("a mask must have {least} bytes; it has {}", bits.len())));
        }
        let mut words = with_capacity(vocabulary.div_ceil(64), WHAT)?;
        words.extend(bits.chunks(8).take(vocabulary.div_ceil(64)).map(|chunk| {
            let mut bytes = [0; 8];
            bytes[..chunk.len()].copy_from_slice(chunk);
            u64::from_le_bytes(bytes)
        }));
        Ok(Self { words, vocabulary })
    }

    /// Whether it holds a token.
    pub fn contains(&self, token: usize) -> bool {
        self.words.get(token / 64).is_some_and(|word| word >> (token % 64) & 1 == 1)
    }

    /// Puts tokens in, or refuses the first that the vocabulary does not have.
    pub fn insert(&mut self, tokens: &[u32]) -> Result<()> {
        if self.words.is_empty() && !tokens.is_empty() {
            let words = self.vocabulary.div_ceil(64);
            self.words = with_capacity(words, WHAT)?;
            self.words.resize(words, 0);
        }
        for token in tokens {
            if *token as usize >= self.vocabulary {
                return Err(beyond(*token, self.vocabulary));
            }
            self.words[*token as usize / 64] |= 1 << (token % 64);
        }
        Ok(())
    }

    /// Those in it, ascending.
    pub fn tokens(&self) -> impl Iterator<Item = u32> {
        let of_word = |(index, word): (usize, &u64)| {
            let word = *word;
            #[allow(clippy::cast_possible_truncation)]
            let first = index as u32 * 64;
            (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| first + bit)
        };
        self.words.iter().enumerate().flat_map(of_word)
    }

    /// Bytes it takes.
    pub fn bytes(&self) -> usize {
        size_of_val(self.words.as_slice())
    }

    /// A copy, or `OutOfMemory`.
    pub fn copy(&self) -> Result<Self> {
        let mut words = with_capacity(self.words.len(), WHAT)?;
        words.extend_from_slice(&self.words);
        Ok(Self { words, ..*self })
    }
}

/// A token that a vocabulary does not have.
pub(crate) fn beyond(token: u32, vocabulary: usize) -> Error {
    Error::InvalidArgument(format!("token {token} is not below the vocabulary size {vocabulary}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_each_token_once_and_refuses_others() {
        let mut set = TokenSet::new(130);
        assert_eq!((set.bytes(), set.tokens().count()), (0, 0));
        set.insert(&[129, 0, 64, 63, 129]).unwrap();
        assert_eq!(set.tokens().collect::<Vec<_>>(), [0, 63, 64, 129]);
        assert_eq!(set.bytes(), 24);
        assert!(set.contains(129) && !set.contains(128) && !set.contains(1000));
        assert!(set.insert(&[130]).unwrap_err().to_string().contains("token 130 is not below the vocabulary size 130"));
    }

    #[test]
    fn it_is_read_from_bits() {
        let set = TokenSet::from_bits(70, &[0b101, 0, 0, 0, 0, 0, 0, 0x80, 0b10, 0xff]).unwrap();
        assert_eq!(set.tokens().filter(|token| *token < 70).collect::<Vec<_>>(), [0, 2, 63, 65]);
        assert!(TokenSet::from_bits(70, &[0; 8]).unwrap_err().to_string().contains("a mask must have 9 bytes; it has 8"));
    }
}
