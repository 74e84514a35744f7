//! A model's tokens, and what bounds the work for one text.

use llguidance::ParserFactory;
use llguidance::api::ParserLimits;
use llguidance::earley::SlicedBiasComputer;
use llguidance::toktrie::{InferenceCapabilities, TokEnv, TokRxInfo, TokTrie, TokenId, TokenizerEnv};
use std::sync::Arc;

/// Sizes of vocabularies whose tokens are cut into slices that a string takes or leaves as a whole: that saves one or two milliseconds a step. Of 49,152
/// tokens they take 15 MB, so that a vocabulary of 152,064 would leave no room for texts.
const SLICED: std::ops::Range<usize> = 4_096..100_000;

/// Bytes of a forced text that are tokenized at once.
const MOST_TOKENIZED: usize = 1024;

/// The tokenizer that grammars are tried with before any text is held to them: its few tokens ask for less work than a model's do.
const TRIED: u32 = 0;

/// In steps of the library's own work, not in time: the same grammar is refused on every machine. It does some 50,000 of the first and 14,000 of the
/// second in a millisecond as native code. A state of the lexer takes one or two kilobytes. What these do not count, `infra/wasm-meter.ts` does.
fn limits(number: u32) -> ParserLimits {
    let limits = ParserLimits {
        initial_lexer_fuel: 500_000,
        step_lexer_fuel: 200_000,
        step_max_items: 100_000,
        max_items_in_row: 5000,
        max_lexer_states: 10_000,
        max_grammar_size: 100_000,
        precompute_large_lexemes: false,
        verbose_errors: false,
    };
    if number == TRIED { ParserLimits { step_lexer_fuel: 30_000, ..limits } } else { limits }
}

/// One tokenizer's.
pub struct Tokens {
    /// Of its texts.
    pub factory: ParserFactory,
    /// Those that no text is made of.
    pub without_text: Vec<TokenId>,
}

impl Tokens {
    /// Of what is put in for [`crate::add_tokenizer`].
    pub fn new(number: u32, vocabulary: usize, input: &[u8]) -> Result<Self, String> {
        let (factory, words) = factory(number, vocabulary, input)?;
        let without_text = (0u32..).zip(&words).filter(|(_, word)| word.is_empty()).map(|(token, _)| token).collect();
        Ok(Self { factory, without_text })
    }
}

fn factory(number: u32, vocabulary: usize, input: &[u8]) -> Result<(ParserFactory, Vec<Vec<u8>>), String> {
    let mut rest = input;
    let mut words = Vec::with_capacity(vocabulary);
    for _ in 0..vocabulary {
        let (length, after) = rest.split_first_chunk::<2>().ok_or("the tokens are cut off")?;
        let (word, after) = after.split_at_checked(usize::from(u16::from_le_bytes(*length))).ok_or("the tokens are cut off")?;
        words.push(word.to_vec());
        rest = after;
    }
    let ends: Vec<TokenId> = rest.chunks_exact(4).map(|id| u32::from_le_bytes([id[0], id[1], id[2], id[3]])).collect();
    let size = u32::try_from(vocabulary).map_err(|error| error.to_string())?;
    let first = *ends.first().ok_or("no token ends a text")?;
    if ends.iter().any(|token| *token >= size) {
        return Err("a token that ends a text is outside the vocabulary".to_owned());
    }
    let trie = TokTrie::from(&TokRxInfo::new(size, first), &words).with_eos_tokens(&ends);
    let tokens: TokEnv = Arc::new(HostTokens { number, trie });
    let slices = if SLICED.contains(&vocabulary) { SlicedBiasComputer::general_slices() } else { Vec::new() };
    let mut factory = ParserFactory::new(&tokens, InferenceCapabilities::default(), &slices).map_err(|error| error.to_string())?;
    factory.quiet();
    *factory.limits_mut() = limits(number);
    Ok((factory, words))
}

/// The host has the tokenizer: what a grammar leaves no choice about becomes the tokens that the model knows the text by.
struct HostTokens {
    number: u32,
    trie: TokTrie,
}

impl TokenizerEnv for HostTokens {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    /// Of what a grammar forces only the first token is taken at a time, so that no more of it is looked at than decides that one: a text that is
    /// forced as a whole would otherwise be tokenized once for each of its tokens.
    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<TokenId> {
        let bytes = &bytes[..bytes.len().min(MOST_TOKENIZED)];
        self.trie.tokenize_with_greedy_fallback(bytes, |text| tokenized(self.number, text, &self.trie))
    }
}

#[cfg(target_arch = "wasm32")]
fn tokenized(number: u32, text: &str, _trie: &TokTrie) -> Vec<TokenId> {
    #[link(wasm_import_module = "host")]
    unsafe extern "C" {
        /// Puts the ids of a text in, as for a call, and says how many they are.
        fn tokenize(tokenizer: u32, text: *const u8, length: usize) -> usize;
    }
    // SAFETY: the host reads `length` bytes of a text that lives until it has answered.
    let count = unsafe { tokenize(number, text.as_ptr(), text.len()) };
    let bytes = crate::taken_input();
    bytes.chunks_exact(4).take(count).map(|id| u32::from_le_bytes([id[0], id[1], id[2], id[3]])).collect()
}

#[cfg(not(target_arch = "wasm32"))]
fn tokenized(_number: u32, text: &str, trie: &TokTrie) -> Vec<TokenId> {
    trie.greedy_tokenize(text.as_bytes())
}
