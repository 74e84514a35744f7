//! A pass on its way through the parts of a model: what each part needs to know of its sequences, and the rows that it reads and leaves. All
//! numbers are little-endian; parts are of one build, which the version says.

use crate::error::{Error, Result};
use crate::memory::with_capacity;
use crate::model::{MAX_PASS_TOKENS, Wanted};
use crate::spike::{Site, SpikeCounts};

const VERSION: u32 = 0x5342_5031;
const NOT_COUNTED: u32 = u32::MAX;
const HEAD_WORDS: usize = 6;
const SEGMENT_WORDS: usize = 9;
const FIRED_WORDS: usize = 2 + 2 * COUNTS;
const COUNTS: usize = 12;

/// What a sequence reads in the pass.
#[derive(Debug, Clone, PartialEq)]
pub struct PassSegment {
    /// The leading engine's name of the sequence.
    pub sequence: u32,
    /// Where its state stands before the pass, learned sinks included.
    pub position: usize,
    /// Tokens.
    pub count: usize,
    /// As in [`crate::model::Segment`].
    pub recurrent_from: usize,
    /// Whose logits are wanted.
    pub wanted: Wanted,
    /// From which of the tokens on spikes are counted, where they are.
    pub counted_from: Option<usize>,
    /// Bytes that the state takes after the pass in the parts so far.
    pub state_bytes: u64,
    /// What has been counted in the parts so far: layer and site.
    pub fired: Vec<(usize, usize, SpikeCounts)>,
}

/// What a part leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// Nothing yet: the tokens are to be embedded.
    Tokens,
    /// A residual row of every token.
    All,
    /// Of those alone whose logits are wanted: the last layer is behind them.
    Wanted,
    /// Logits over the whole vocabulary instead.
    Logits,
}

/// See the module.
#[derive(Debug, Clone, PartialEq)]
pub struct PassMessage {
    /// Whose sequences these are: engines that lead are told apart by it.
    pub owner: u64,
    /// In the order of their rows.
    pub segments: Vec<PassSegment>,
    /// Of all segments.
    pub tokens: Vec<u32>,
    /// What `values` are.
    pub rows: Rows,
    /// `[rows, hidden]`, or `[wanted, vocabulary]`.
    pub values: Vec<f32>,
}

impl PassMessage {
    /// How many tokens' logits are wanted.
    pub fn wanted(&self) -> usize {
        let of_segment = |segment: &PassSegment| match segment.wanted {
            Wanted::None => 0,
            Wanted::Last => 1,
            Wanted::All => segment.count,
        };
        self.segments.iter().map(of_segment).sum()
    }

    /// As bytes.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        let fired: usize = self.segments.iter().map(|segment| segment.fired.len()).sum();
        let words = HEAD_WORDS + SEGMENT_WORDS * self.segments.len() + FIRED_WORDS * fired + self.tokens.len() + self.values.len();
        let mut out = Writer(with_capacity(4 * words, "a pass between parts of a model")?);
        out.word(VERSION as usize);
        out.long(self.owner);
        out.word(self.segments.len());
        out.word(self.tokens.len());
        out.word(self.rows as usize);
        for segment in &self.segments {
            out.0.extend_from_slice(&segment.sequence.to_le_bytes());
            out.word(segment.position);
            out.word(segment.count);
            out.word(segment.recurrent_from);
            out.word(segment.wanted as usize);
            out.word(segment.counted_from.unwrap_or(NOT_COUNTED as usize));
            out.long(segment.state_bytes);
            out.word(segment.fired.len());
            for (layer, site, counts) in &segment.fired {
                out.word(*layer);
                out.word(*site);
                numbers(counts).into_iter().for_each(|number| out.long(number));
            }
        }
        self.tokens.iter().for_each(|token| out.0.extend_from_slice(&token.to_le_bytes()));
        out.0.extend(self.values.iter().flat_map(|value| value.to_le_bytes()));
        Ok(out.0)
    }

    /// From bytes. `hidden` and `vocabulary` are the model's.
    pub fn parse(bytes: &[u8], hidden: usize, vocabulary: usize) -> Result<Self> {
        let mut reader = Reader(bytes);
        if reader.word()? != VERSION {
            return Err(wrong("is of another build"));
        }
        let owner = reader.long()?;
        let (segments, tokens, rows) = (reader.size()?, reader.size()?, reader.word()?);
        if segments > MAX_PASS_TOKENS || tokens > MAX_PASS_TOKENS {
            return Err(wrong(&format!("has {segments} segments and {tokens} tokens; at most {MAX_PASS_TOKENS} are allowed")));
        }
        let rows = [Rows::Tokens, Rows::All, Rows::Wanted, Rows::Logits].into_iter().find(|known| *known as u32 == rows);
        let mut message = Self {
            owner,
            segments: Vec::new(),
            tokens: Vec::new(),
            rows: rows.ok_or_else(|| wrong("has other rows"))?,
            values: Vec::new(),
        };
        for _ in 0..segments {
            message.segments.push(reader.segment()?);
        }
        for _ in 0..tokens {
            message.tokens.push(reader.word()?);
        }
        let counted: usize = message.segments.iter().map(|segment| segment.count).sum();
        if counted != tokens || message.segments.iter().any(|segment| segment.count == 0) {
            return Err(wrong("has other tokens than its segments name"));
        }
        let expected = match message.rows {
            Rows::Tokens => 0,
            Rows::All => tokens * hidden,
            Rows::Wanted => message.wanted() * hidden,
            Rows::Logits => message.wanted() * vocabulary,
        };
        if reader.0.len() != 4 * expected {
            return Err(wrong(&format!("has {} bytes of rows; they must be {}", reader.0.len(), 4 * expected)));
        }
        message.values = with_capacity(expected, "rows between parts of a model")?;
        message.values.extend(reader.0.chunks_exact(4).map(|word| f32::from_le_bytes([word[0], word[1], word[2], word[3]])));
        Ok(message)
    }
}

fn wrong(how: &str) -> Error {
    Error::InvalidArgument(format!("a pass between parts of a model {how}"))
}

fn numbers(counts: &SpikeCounts) -> [u64; COUNTS] {
    let SpikeCounts { channels, silent, small, count, spikes, windows: [a, b, c, d], multiply_accumulates, skipped, additions } = *counts;
    [channels, silent, small, count, spikes, a, b, c, d, multiply_accumulates, skipped, additions]
}

struct Writer(Vec<u8>);

impl Writer {
    /// Positions and counts are far below the largest u32.
    fn word(&mut self, value: usize) {
        self.0.extend_from_slice(&u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes());
    }

    fn long(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>().ok_or_else(|| wrong("ends too early"))?;
        self.0 = rest;
        Ok(*first)
    }

    fn word(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn size(&mut self) -> Result<usize> {
        Ok(self.word()? as usize)
    }

    fn long(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn segment(&mut self) -> Result<PassSegment> {
        let (sequence, position, count, recurrent_from) = (self.word()?, self.size()?, self.size()?, self.size()?);
        let wanted = self.word()?;
        let wanted = [Wanted::None, Wanted::Last, Wanted::All].into_iter().find(|known| *known as u32 == wanted);
        let counted_from = Some(self.word()?).filter(|from| *from != NOT_COUNTED).map(|from| from as usize);
        let state_bytes = self.long()?;
        let fired = self.size()?;
        let mut segment = PassSegment {
            sequence,
            position,
            count,
            recurrent_from,
            wanted: wanted.ok_or_else(|| wrong("wants other logits"))?,
            counted_from,
            state_bytes,
            fired: Vec::new(),
        };
        for _ in 0..fired {
            let (layer, site) = (self.size()?, self.size()?);
            if site >= Site::ALL.len() {
                return Err(wrong("counts another site"));
            }
            let mut n = [0; COUNTS];
            for number in &mut n {
                *number = self.long()?;
            }
            let counts = SpikeCounts {
                channels: n[0],
                silent: n[1],
                small: n[2],
                count: n[3],
                spikes: n[4],
                windows: [n[5], n[6], n[7], n[8]],
                multiply_accumulates: n[9],
                skipped: n[10],
                additions: n[11],
            };
            segment.fired.push((layer, site, counts));
        }
        Ok(segment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> PassMessage {
        let fired = vec![(1, 2, SpikeCounts { channels: 9, windows: [1, 2, 3, 4], additions: 5, ..SpikeCounts::default() })];
        let first = PassSegment {
            sequence: 7,
            position: 12,
            count: 2,
            recurrent_from: 14,
            wanted: Wanted::All,
            counted_from: Some(1),
            state_bytes: 1 << 40,
            fired,
        };
        let second = PassSegment { sequence: 8, count: 1, wanted: Wanted::None, counted_from: None, fired: Vec::new(), ..first.clone() };
        PassMessage {
            owner: 3,
            segments: vec![first, second],
            tokens: vec![1, 2, 3],
            rows: Rows::Wanted,
            values: vec![0.5, -0.0, 2.0, 3.0],
        }
    }

    #[test]
    fn a_message_is_read_as_it_was_written() {
        let bytes = message().bytes().unwrap();
        assert_eq!(PassMessage::parse(&bytes, 2, 5).unwrap(), message());
    }

    #[test]
    fn a_cut_or_changed_message_is_refused() {
        let bytes = message().bytes().unwrap();
        for end in 0..bytes.len() {
            assert!(PassMessage::parse(&bytes[..end], 2, 5).is_err(), "{end} bytes");
        }
        for at in [0, 12, 16, 20] {
            let mut changed = bytes.clone();
            changed[at] = changed[at].wrapping_add(100);
            assert!(PassMessage::parse(&changed, 2, 5).is_err(), "byte {at}");
        }
    }
}
