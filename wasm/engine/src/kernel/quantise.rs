//! Activations as the kernels read them: dense, and as int8 per block of 32, by rounding or by firing.

use super::beyond::{Beyond, BeyondCodes, Outside, rests};
use super::packed::{Bytes, Form, Words, tile_of};
use super::{Active, Kernel, load};
use crate::error::Result;
use crate::memory::Allowance;
use crate::spike::{LARGEST_CODE, SpikeTally, fire};
use crate::weights::TensorType;
use crate::weights::tensor_type::BLOCK;
use core::ops::Range;

/// Numbers that a block of codes is handed over as.
pub const BLOCK_WORDS: usize = BLOCK / 4 + 1;

/// `[tokens, columns]` in f32 and, once a quantised weight has asked for it or they have fired, in int8 codes with a scale per block. The last
/// block of a row may be short; its codes are then followed by zeros.
#[derive(Debug, Default)]
pub struct Activations {
    tokens: usize,
    columns: usize,
    values: Vec<f32>,
    codes: Vec<i8>,
    scales: Vec<f32>,
    sums: Vec<f32>,
    quantised: bool,
    /// What counts lack that lie outside their codes.
    beyond: BeyondCodes,
    /// The codes in the order in which kernels read them, in the form that `packed` names.
    bytes: Vec<Bytes>,
    words: Vec<Words>,
    packed: Option<Form>,
}

impl Activations {
    /// Room for `[tokens, columns]` without a later allocation.
    pub fn reserve(&mut self, tokens: usize, columns: usize, allowance: &mut Allowance) -> Result<()> {
        let blocks = tokens.saturating_mul(columns.div_ceil(BLOCK));
        allowance.reserve(&mut self.values, tokens.saturating_mul(columns))?;
        allowance.reserve(&mut self.codes, blocks.saturating_mul(BLOCK))?;
        allowance.reserve(&mut self.scales, blocks)?;
        allowance.reserve(&mut self.sums, blocks)?;
        allowance.reserve(&mut self.bytes, blocks)?;
        allowance.reserve(&mut self.words, blocks)?;
        self.beyond.reserve(tokens, allowance)
    }

    /// As [`Self::reserve`], codes and scales only where they are wanted.
    pub fn reserve_values(&mut self, tokens: usize, columns: usize, codes: bool, allowance: &mut Allowance) -> Result<()> {
        if codes { self.reserve(tokens, columns, allowance) } else { allowance.reserve(&mut self.values, tokens.saturating_mul(columns)) }
    }

    /// Empties it to the given shape and hands out the values to fill, `[tokens, columns]`.
    pub fn fill(&mut self, tokens: usize, columns: usize) -> &mut [f32] {
        (self.tokens, self.columns) = (tokens, columns);
        self.values.resize(tokens * columns, 0.0);
        self.values_mut()
    }

    /// Lets `join` make rows of `columns` values out of those that have been filled in, which must not have been rounded or fired.
    pub fn widen(&mut self, columns: usize, join: impl FnOnce(&mut Vec<f32>) -> Result<()>) -> Result<()> {
        join(&mut self.values)?;
        self.columns = columns;
        Ok(())
    }

    /// Rounds to codes, and writes them to `words` as numbers to be handed over: of every block its codes, four to a number, and what a code is
    /// worth. Rows must be whole blocks.
    pub fn write_codes(&mut self, words: &mut Vec<f32>) {
        self.quantise();
        words.resize(self.tokens * self.blocks() * BLOCK_WORDS, 0.0);
        let records = words.as_chunks_mut::<BLOCK_WORDS>().0.iter_mut();
        for (record, (codes, scale)) in records.zip(self.codes.as_chunks::<BLOCK>().0.iter().zip(&self.scales)) {
            for (word, four) in record.iter_mut().zip(codes.as_chunks::<4>().0) {
                *word = f32::from_bits(u32::from_le_bytes(four.map(i8::cast_unsigned)));
            }
            record[BLOCK_WORDS - 1] = *scale;
        }
    }

    /// Takes codes as [`Self::write_codes`] has written them for rows of `columns`: as if these had been rounded here, but that no value is left.
    pub fn read_codes(&mut self, columns: usize, words: &[f32]) {
        self.columns = columns;
        self.values.resize(self.tokens * columns, 0.0);
        self.size_codes();
        let (codes, scales) = (self.codes.as_chunks_mut::<BLOCK>().0.iter_mut(), self.scales.iter_mut().zip(&mut self.sums));
        for (record, (codes, (scale, sum))) in words.as_chunks::<BLOCK_WORDS>().0.iter().zip(codes.zip(scales)) {
            for (four, word) in codes.as_chunks_mut::<4>().0.iter_mut().zip(record) {
                *four = word.to_bits().to_le_bytes().map(u8::cast_signed);
            }
            *scale = record[BLOCK_WORDS - 1];
            *sum = *scale * code_sum(codes);
        }
    }

    /// Becomes the given rows of `from`, as they are there: rounded, fired or neither.
    pub fn gather(&mut self, from: &Self, rows: impl ExactSizeIterator<Item = usize> + Clone) {
        self.fill(rows.len(), from.columns);
        copy_rows(&mut self.values, &from.values, from.columns, rows.clone());
        if from.quantised {
            self.size_codes();
            copy_rows(&mut self.codes, &from.codes, from.code_stride(), rows.clone());
            copy_rows(&mut self.scales, &from.scales, from.blocks(), rows.clone());
            copy_rows(&mut self.sums, &from.sums, from.blocks(), rows.clone());
            for (token, row) in rows.enumerate().filter(|(_, row)| from.is_wide(*row)) {
                self.list_beyond(token);
                debug_assert!(self.beyond.of_token(token) == from.beyond.of_token(row), "a copy is as what it was made of");
            }
        }
    }

    /// Rows.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Values of a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Blocks of a row.
    pub fn blocks(&self) -> usize {
        self.columns.div_ceil(BLOCK)
    }

    /// Codes of a row: whole blocks.
    pub fn code_stride(&self) -> usize {
        self.blocks() * BLOCK
    }

    /// `[tokens, columns]`.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// As [`Self::values`], to be changed in place before the first [`Self::prepare`] or [`Self::begin_firing`].
    pub fn values_mut(&mut self) -> &mut [f32] {
        self.quantised = false;
        &mut self.values
    }

    /// `[tokens, code stride]` int8 codes, none of them -128; empty before [`Self::prepare`] for a quantised type.
    pub fn codes(&self) -> &[i8] {
        &self.codes
    }

    /// `[tokens, blocks]`: what one code is worth.
    pub fn scales(&self) -> &[f32] {
        &self.scales
    }

    /// `[tokens, blocks]`: scale times the sum of the block's codes, which a weight's minimum is multiplied by.
    pub fn sums(&self) -> &[f32] {
        &self.sums
    }

    /// Whether some count of the token lies outside its code.
    pub fn is_wide(&self, token: usize) -> bool {
        self.beyond.of_token(token) != Outside::None
    }

    /// What counts lack that lie outside their codes, by column, then by token; of tokens that have more than a few, none is here.
    pub fn beyond_codes(&self) -> &[Beyond] {
        self.beyond.listed()
    }

    /// Of a token that is too wide for [`Self::beyond_codes`]: its columns whose count no code holds, with what their codes lack of their values.
    pub fn crowded(&self, token: usize) -> impl Iterator<Item = (usize, f32)> {
        let is_crowded = self.beyond.of_token(token) == Outside::Crowded;
        is_crowded.then(|| rests(self.row(token), self.row_codes(token), self.scales[token * self.blocks()])).into_iter().flatten()
    }

    fn list_beyond(&mut self, token: usize) {
        let (columns, stride, scale) = (self.columns, self.code_stride(), self.scales[token * self.blocks()]);
        let (values, codes) = (&self.values[token * columns..(token + 1) * columns], &self.codes[token * stride..(token + 1) * stride]);
        self.beyond.add(token, values, codes, scale);
    }

    fn row(&self, token: usize) -> &[f32] {
        &self.values[token * self.columns..(token + 1) * self.columns]
    }

    fn row_codes(&self, token: usize) -> &[i8] {
        &self.codes[token * self.code_stride()..(token + 1) * self.code_stride()]
    }

    /// `[blocks, T]` of the `T` tokens from `token` on, which are a tile.
    pub fn bytes<const T: usize>(&self, token: usize) -> &[Bytes] {
        assert!(self.packed == Some(Form::Bytes), "activations are prepared for a weight's type before they meet it");
        &self.bytes[self.records::<T>(token)]
    }

    /// As [`Self::bytes`].
    pub fn words<const T: usize>(&self, token: usize) -> &[Words] {
        assert!(self.packed == Some(Form::Words), "activations are prepared for a weight's type before they meet it");
        &self.words[self.records::<T>(token)]
    }

    fn records<const T: usize>(&self, token: usize) -> Range<usize> {
        assert!(tile_of(token, self.tokens) == (token, T), "tokens are read in the tiles in which they are packed");
        token * self.blocks()..(token + T) * self.blocks()
    }

    /// Rounds to codes where a weight of this type needs them and they are not there yet, and packs them for its kernels.
    pub fn prepare(&mut self, kind: TensorType) {
        self.prepare_with(kind, load::<Active>());
    }

    /// As [`Self::prepare`], with [`super::Kernel::load`] of the kernel that is to read them.
    pub(super) fn prepare_with(&mut self, kind: TensorType, load: fn(&[i8], &mut [i16])) {
        let Some(form) = Form::of(kind) else {
            return;
        };
        if !self.quantised {
            self.quantise();
        }
        if self.packed != Some(form) {
            self.pack(form, load);
        }
    }

    fn quantise(&mut self) {
        self.size_codes();
        let (blocks, stride) = (self.blocks(), self.code_stride());
        for token in 0..self.tokens {
            let values = &self.values[token * self.columns..(token + 1) * self.columns];
            let codes = &mut self.codes[token * stride..(token + 1) * stride];
            let targets = codes
                .as_chunks_mut::<BLOCK>()
                .0
                .iter_mut()
                .zip(self.scales[token * blocks..].iter_mut().zip(&mut self.sums[token * blocks..]));
            for (block, (codes, (scale, sum))) in values.chunks(BLOCK).zip(targets) {
                codes[block.len()..].fill(0);
                *scale = quantise(block, &mut codes[..block.len()]);
                *sum = *scale * code_sum(codes);
            }
        }
    }

    fn pack(&mut self, form: Form, load: fn(&[i8], &mut [i16])) {
        let blocks = self.blocks();
        let count = self.tokens * blocks;
        self.beyond.sort();
        match form {
            Form::Bytes => self.bytes.resize(count, Bytes { codes: [0; BLOCK], scale: 0.0, sum: 0.0 }),
            Form::Words => self.words.resize(count, Words { codes: [0; BLOCK], scale: 0.0 }),
        }
        for token in 0..self.tokens {
            let (first, size) = tile_of(token, self.tokens);
            for block in 0..blocks {
                let (at, to) = (token * blocks + block, first * blocks + block * size + token - first);
                let codes = &self.codes[at * BLOCK..(at + 1) * BLOCK];
                match form {
                    Form::Bytes => {
                        let record = &mut self.bytes[to];
                        record.codes.copy_from_slice(codes);
                        (record.scale, record.sum) = (self.scales[at], self.sums[at]);
                    }
                    Form::Words => {
                        let record = &mut self.words[to];
                        load(codes, &mut record.codes);
                        record.scale = self.scales[at];
                    }
                }
            }
        }
        self.packed = Some(form);
    }

    /// Makes room for what [`Self::fire`] fills, row by row.
    pub fn begin_firing(&mut self) {
        self.size_codes();
    }

    /// The row's values become what its spikes are worth, its codes the counts: products with quantised weights are then exact.
    pub fn fire(&mut self, row: usize, k: f64, tally: Option<&mut SpikeTally>) {
        let (blocks, stride) = (self.blocks(), self.code_stride());
        let values = &mut self.values[row * self.columns..(row + 1) * self.columns];
        let codes = &mut self.codes[row * stride..(row + 1) * stride];
        codes[values.len()..].fill(0);
        let fired = fire(values, k, codes, tally);
        self.scales[row * blocks..(row + 1) * blocks].fill(fired.threshold);
        for (sum, codes) in self.sums[row * blocks..(row + 1) * blocks].iter_mut().zip(codes.as_chunks::<BLOCK>().0) {
            *sum = fired.threshold * code_sum(codes);
        }
        if fired.largest > LARGEST_CODE {
            self.list_beyond(row);
        }
    }

    fn size_codes(&mut self) {
        (self.quantised, self.packed) = (true, None);
        self.codes.resize(self.tokens * self.code_stride(), 0);
        self.scales.resize(self.tokens * self.blocks(), 0.0);
        self.sums.resize(self.tokens * self.blocks(), 0.0);
        self.beyond.clear(self.tokens);
    }
}

fn copy_rows<T: Copy>(to: &mut [T], from: &[T], width: usize, rows: impl Iterator<Item = usize>) {
    for (to, row) in to.chunks_exact_mut(width).zip(rows) {
        to.copy_from_slice(&from[row * width..(row + 1) * width]);
    }
}

#[allow(clippy::cast_precision_loss)]
fn code_sum(codes: &[i8; BLOCK]) -> f32 {
    codes.iter().map(|code| i32::from(*code)).sum::<i32>() as f32
}

/// Symmetric int8: `x ~ scale * code`, codes in -127..=127 rounded half to even; returns the scale, 0 for all-zero values.
#[inline(always)]
pub(crate) fn quantise(values: &[f32], codes: &mut [i8]) -> f32 {
    let largest = Active::largest(values);
    if largest == 0.0 {
        codes.fill(0);
        return 0.0;
    }
    Active::round(values, 127.0 / largest, codes);
    largest / 127.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_half_to_even_and_never_reach_minus_128() {
        let values: Vec<f32> = vec![-127.0, 127.0, 0.5, 1.5, 2.5, -0.5, -1.5, 3.49];
        let mut codes = vec![0i8; 8];
        let scale = quantise(&values, &mut codes);
        assert_eq!(scale, 1.0);
        assert_eq!(codes, [-127, 127, 0, 2, 2, 0, -2, 3]);
        assert_eq!(quantise(&[0.0; 8], &mut codes), 0.0);
        assert_eq!(codes, [0; 8]);
    }
}
