//! Activations as the kernels read them: dense, and on demand as int8 per block of 32.

use crate::error::Result;
use crate::memory::Allowance;
use crate::weights::TensorType;
use crate::weights::tensor_type::BLOCK;

/// `[tokens, columns]` in f32 and, once a quantised weight has asked for it, in int8 codes with a scale per block.
#[derive(Debug, Default)]
pub struct Activations {
    tokens: usize,
    columns: usize,
    values: Vec<f32>,
    codes: Vec<i8>,
    scales: Vec<f32>,
    sums: Vec<f32>,
    quantised: bool,
}

impl Activations {
    /// Room for `[tokens, columns]` without a later allocation.
    pub fn reserve(&mut self, tokens: usize, columns: usize, allowance: &mut Allowance) -> Result<()> {
        let (values, blocks) = (tokens.saturating_mul(columns), tokens.saturating_mul(columns.div_ceil(BLOCK)));
        allowance.reserve(&mut self.values, values)?;
        allowance.reserve(&mut self.codes, values)?;
        allowance.reserve(&mut self.scales, blocks)?;
        allowance.reserve(&mut self.sums, blocks)
    }

    /// Empties it to the given shape and hands out the values to fill, `[tokens, columns]`.
    pub fn fill(&mut self, tokens: usize, columns: usize) -> &mut [f32] {
        (self.tokens, self.columns, self.quantised) = (tokens, columns, false);
        self.values.resize(tokens * columns, 0.0);
        &mut self.values
    }

    /// Rows.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Values of a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// `[tokens, columns]`.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// As [`Self::values`], to be changed in place before the first [`Self::prepare`].
    pub fn values_mut(&mut self) -> &mut [f32] {
        self.quantised = false;
        &mut self.values
    }

    /// `[tokens, columns]` int8 codes; empty before [`Self::prepare`] for a quantised type.
    pub fn codes(&self) -> &[i8] {
        &self.codes
    }

    /// `[tokens, columns / 32]`: what one code is worth.
    pub fn scales(&self) -> &[f32] {
        &self.scales
    }

    /// `[tokens, columns / 32]`: scale times the sum of the block's codes, which a weight's minimum is multiplied by.
    pub fn sums(&self) -> &[f32] {
        &self.sums
    }

    /// Makes what a weight of this type needs; does nothing the second time.
    pub fn prepare(&mut self, kind: TensorType) {
        if !kind.is_quantised() || self.quantised {
            return;
        }
        self.quantised = true;
        let blocks = self.tokens * self.columns / BLOCK;
        self.codes.resize(self.tokens * self.columns, 0);
        self.scales.resize(blocks, 0.0);
        self.sums.resize(blocks, 0.0);
        let targets = self.codes.chunks_exact_mut(BLOCK).zip(self.scales.iter_mut().zip(self.sums.iter_mut()));
        for (block, (codes, (scale, sum))) in self.values.chunks_exact(BLOCK).zip(targets) {
            *scale = quantise(block, codes);
            let total: i32 = codes.iter().map(|code| i32::from(*code)).sum();
            #[allow(clippy::cast_precision_loss)]
            {
                *sum = *scale * total as f32;
            }
        }
    }
}

/// Symmetric int8: `x ~ scale * code`, codes in -127..=127 rounded half to even; returns the scale, 0 for all-zero values.
#[inline(always)]
pub(crate) fn quantise(values: &[f32], codes: &mut [i8]) -> f32 {
    let mut lanes = [0.0f32; 4];
    let chunks = values.chunks_exact(4);
    let tail = chunks.remainder().iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
    for four in chunks {
        for lane in 0..4 {
            lanes[lane] = if four[lane].abs() > lanes[lane] { four[lane].abs() } else { lanes[lane] };
        }
    }
    let largest = lanes[0].max(lanes[1]).max(lanes[2].max(lanes[3])).max(tail);
    if largest == 0.0 {
        codes.fill(0);
        return 0.0;
    }
    let inverse = 127.0 / largest;
    // Adding 1.5 * 2^23 rounds to the nearest integer, ties to even, and leaves it in the low bits.
    const ROUND: f32 = 12_582_912.0;
    for (code, x) in codes.iter_mut().zip(values) {
        #[allow(clippy::cast_possible_truncation)]
        {
            *code = (x * inverse + ROUND).to_bits().cast_signed() as i8;
        }
    }
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
