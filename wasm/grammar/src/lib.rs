//! Constraints on answers for JavaScript: which tokens may come next in a text that has to fit a JSON schema, a pattern, a choice or a grammar.
//!
//! The surface is plain exports without generated glue, so that the host can begin anew with another instance after one has trapped. Bytes go in
//! through [`input`] and come out at [`output`]; `workers/grammar/wasm-grammar.ts` is the other side, and says what lies in them.

mod constraint;
#[cfg(target_arch = "wasm32")]
mod seeds;
mod step;
mod tokens;

use constraint::Constraint;
use llguidance::Matcher;
use std::cell::RefCell;
use std::collections::BTreeMap;
use step::Step;
use tokens::Tokens;

#[derive(Default)]
struct Texts {
    tokenizers: BTreeMap<u32, Tokens>,
    /// With the number of its tokenizer.
    open: BTreeMap<u32, (u32, Matcher)>,
    last: u32,
}

thread_local! {
    static TEXTS: RefCell<Texts> = RefCell::default();
    static INPUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static OUTPUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Makes room for so many bytes of the next call, and says where.
#[unsafe(no_mangle)]
pub extern "C" fn input(length: usize) -> *mut u8 {
    INPUT.with_borrow_mut(|bytes| {
        bytes.clear();
        bytes.resize(length, 0);
        bytes.as_mut_ptr()
    })
}

/// Where the last call's result lies: what it gave, or a message where it failed.
#[unsafe(no_mangle)]
pub extern "C" fn output() -> *const u8 {
    OUTPUT.with_borrow(Vec::as_ptr)
}

/// How long that is.
#[unsafe(no_mangle)]
pub extern "C" fn output_length() -> usize {
    OUTPUT.with_borrow(Vec::len)
}

/// Adds a tokenizer under a number: in goes for each token two bytes of length and its bytes, no bytes for one that no text is made of, then the
/// ids that end a text, four bytes each. 0 where it is taken.
#[unsafe(no_mangle)]
pub extern "C" fn add_tokenizer(number: u32, vocabulary: usize) -> u32 {
    finish(Tokens::new(number, vocabulary, &taken_input()).map(|tokens| {
        TEXTS.with_borrow_mut(|texts| texts.tokenizers.insert(number, tokens));
        (0, Vec::new())
    }))
    .1
}

/// Opens a text; in goes the constraint as JSON. Its handle, or 0.
#[unsafe(no_mangle)]
pub extern "C" fn open(tokenizer: u32) -> u32 {
    let opened = TEXTS.with_borrow_mut(|texts| {
        let tokens = texts.tokenizers.get(&tokenizer).ok_or("there is no such tokenizer")?;
        let matcher = Constraint::parse(&taken_input())?.matcher(&tokens.factory)?;
        texts.last += 1;
        texts.open.insert(texts.last, (tokenizer, matcher));
        Ok((texts.last, Vec::new()))
    });
    finish(opened).0
}

/// Takes the tokens that are put in, four bytes each, and gives the step after them. 0 where they fit.
#[unsafe(no_mangle)]
pub extern "C" fn accept(text: u32) -> u32 {
    let input = taken_input();
    let ids: Vec<u32> = input.chunks_exact(4).map(|id| u32::from_le_bytes([id[0], id[1], id[2], id[3]])).collect();
    with_text(text, |matcher| matcher.consume_tokens(&ids).map_err(|error| error.to_string()))
}

/// Takes the last so many tokens back. 0 where there were so many.
#[unsafe(no_mangle)]
pub extern "C" fn rollback(text: u32, count: usize) -> u32 {
    with_text(text, |matcher| matcher.rollback(count).map_err(|error| error.to_string()))
}

/// Lets go of a text.
#[unsafe(no_mangle)]
pub extern "C" fn close(text: u32) {
    TEXTS.with_borrow_mut(|texts| texts.open.remove(&text));
}

/// Puts the step out that follows.
fn with_text(text: u32, change: impl FnOnce(&mut Matcher) -> Result<(), String>) -> u32 {
    let result = TEXTS.with_borrow_mut(|texts| {
        let (tokenizer, matcher) = texts.open.get_mut(&text).ok_or("there is no such text")?;
        let tokens = texts.tokenizers.get(tokenizer).ok_or("there is no such tokenizer")?;
        change(matcher)?;
        Ok((0, Step::of(matcher, &tokens.without_text)?.to_bytes()))
    });
    finish(result).1
}

fn taken_input() -> Vec<u8> {
    INPUT.take()
}

/// Puts the result, or the message, where the host finds it: what the call is about, and 0 where it did not fail.
fn finish(result: Result<(u32, Vec<u8>), String>) -> (u32, u32) {
    let (value, failed, bytes) = match result {
        Ok((value, bytes)) => (value, 0, bytes),
        Err(message) => (0, 1, message.into_bytes()),
    };
    OUTPUT.set(bytes);
    (value, failed)
}
