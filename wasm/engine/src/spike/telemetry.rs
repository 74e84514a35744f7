//! What is measured of spikes (`gpu-backend/docs/model.md#86-what-is-measured`): sums that are exact in integers.
//!
//! A channel's spikes are those of the bidirectional coding: the ones among the binary digits of its count. A token's steps are as many as
//! its largest count has digits, cut into windows of three from the least significant step on; the paper's figure shows the shares of
//! windows with 0, 1, 2 and at least 3 spikes.

use super::Site;
use crate::error::Result;
use crate::memory::zeroed;

const WINDOW_STEPS: u32 = 3;
/// Channels of a word, a byte each.
const WORD: usize = 8;
/// A byte holds the spikes of so many channels of at most seven each.
const MOST_WORDS: usize = 36;
const LOWEST_BITS: u64 = 0x0101_0101_0101_0101;
const EVEN_BYTES: u64 = 0x00ff_00ff_00ff_00ff;

/// Sums over channels and tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpikeCounts {
    /// Inputs seen.
    pub channels: u64,
    /// Those with count 0.
    pub silent: u64,
    /// Those with a count of at most 7 in magnitude.
    pub small: u64,
    /// Sum of the counts' magnitudes. It saturates: activations beyond any sense, which a threshold of at most 1e4 divides, reach it.
    pub count: u64,
    /// Sum of the counts' ones in binary.
    pub spikes: u64,
    /// Three-step windows with 0, 1, 2 and 3 spikes.
    pub windows: [u64; 4],
    /// Of a dense product: inputs times outputs.
    pub multiply_accumulates: u64,
    /// Those of silent channels, which an event-driven product leaves out.
    pub skipped: u64,
    /// Spikes times outputs: what a product step by step does.
    pub additions: u64,
}

impl core::ops::AddAssign for SpikeCounts {
    fn add_assign(&mut self, other: Self) {
        self.channels += other.channels;
        self.silent += other.silent;
        self.small += other.small;
        self.count = self.count.saturating_add(other.count);
        self.spikes += other.spikes;
        for (windows, more) in self.windows.iter_mut().zip(other.windows) {
            *windows += more;
        }
        self.multiply_accumulates += other.multiply_accumulates;
        self.skipped += other.skipped;
        self.additions += other.additions;
    }
}

/// Counts of a sequence, by layer and site.
#[derive(Debug, Clone, Default)]
pub struct SpikeMeter {
    /// `[layers]`, in the order of [`Site::ALL`].
    layers: Vec<[SpikeCounts; Site::ALL.len()]>,
}

impl SpikeMeter {
    /// Of a model with so many layers, nothing counted.
    pub fn new(layers: usize) -> Result<Self> {
        Ok(Self { layers: zeroed(layers, "spike counts")? })
    }

    /// `[layers]`, each by site in the order of [`Site::ALL`].
    pub fn layers(&self) -> &[[SpikeCounts; Site::ALL.len()]] {
        &self.layers
    }

    /// Adds what another meter of this model has counted at a site, by its index in [`Site::ALL`].
    pub fn join(&mut self, layer: usize, site: usize, counts: &SpikeCounts) {
        if let Some(own) = self.layers.get_mut(layer).and_then(|sites| sites.get_mut(site)) {
            *own += *counts;
        }
    }

    /// Of all layers and sites.
    pub fn total(&self) -> SpikeCounts {
        let mut total = SpikeCounts::default();
        self.layers.iter().flatten().for_each(|counts| total += *counts);
        total
    }

    /// Adds what a row has fired; each of its channels feeds `outputs` outputs.
    pub fn add(&mut self, layer: usize, site: Site, tally: &SpikeTally, outputs: u64) {
        let Some(counts) = self.layers.get_mut(layer).map(|sites| &mut sites[site as usize]) else {
            return;
        };
        let one = tally.spikes - 2 * tally.two - 3 * tally.three;
        *counts += SpikeCounts {
            channels: tally.channels,
            silent: tally.silent,
            small: tally.small,
            count: tally.count,
            spikes: tally.spikes,
            windows: [tally.windows - one - tally.two - tally.three, one, tally.two, tally.three],
            multiply_accumulates: tally.channels * outputs,
            skipped: tally.silent * outputs,
            additions: tally.spikes * outputs,
        };
    }
}

/// What one row or several have fired.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpikeTally {
    channels: u64,
    silent: u64,
    small: u64,
    count: u64,
    spikes: u64,
    windows: u64,
    two: u64,
    three: u64,
}

impl SpikeTally {
    /// One token's codes, the magnitudes of the counts that no code holds (their codes are 127), and the largest magnitude.
    pub(super) fn add(&mut self, codes: &[i8], wide: &[f32], largest: f32) {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let whole = |count: f32| count as u64;
        self.channels += codes.len() as u64;
        let steps = (u64::BITS - whole(largest).leading_zeros()).max(1);
        self.windows += u64::from(steps.div_ceil(WINDOW_STEPS)) * codes.len() as u64;
        for block in codes.chunks(WORD * MOST_WORDS) {
            self.add_codes(block);
        }
        // A code of 127 has been counted in place of each of these: seven spikes, six of them in two full windows.
        for magnitude in wide.iter().map(|count| whole(*count)) {
            self.count = self.count.saturating_add(magnitude.saturating_sub(127));
            self.spikes = self.spikes + u64::from(magnitude.count_ones()) - 7;
            self.three -= 2;
            let mut rest = magnitude;
            while rest > 0 {
                match (rest & 7).count_ones() {
                    2 => self.two += 1,
                    3 => self.three += 1,
                    _ => {}
                }
                rest >>= WINDOW_STEPS;
            }
        }
    }

    /// Eight channels at a time, a byte each: sums of bytes that never carry, which the compiler makes vectors of.
    fn add_codes(&mut self, codes: &[i8]) {
        let words = codes.chunks_exact(WORD);
        let mut last = [0i8; WORD];
        last[..words.remainder().len()].copy_from_slice(words.remainder());
        let padding = if words.remainder().is_empty() { 0 } else { WORD - words.remainder().len() };
        let mut sums = Bytes::default();
        for codes in words {
            sums.add(codes);
        }
        if padding > 0 {
            sums.add(&last);
        }
        let channels = codes.len() as u64;
        let three = bytes_together(sums.three);
        self.silent += channels - bytes_together(sums.firing);
        self.small += channels - bytes_together(sums.large);
        self.spikes += bytes_together(sums.spikes);
        self.two += bytes_together(sums.several) - three;
        self.three += three;
        self.count = self.count.saturating_add((0..4).map(|at| (sums.count >> (16 * at)) & 0xffff).sum());
    }
}

/// Sums of a block, a byte a channel; of `count` 16 bits for two.
#[derive(Default)]
struct Bytes {
    firing: u64,
    large: u64,
    spikes: u64,
    several: u64,
    three: u64,
    count: u64,
}

impl Bytes {
    #[inline(always)]
    fn add(&mut self, codes: &[i8]) {
        let word = u64::from_le_bytes(core::array::from_fn(|channel| codes[channel].cast_unsigned()));
        // No code is -128, so a magnitude has seven digits.
        let negative = (word >> 7) & LOWEST_BITS;
        let magnitude = (word ^ (negative * 0xff)) + negative;
        let digit = |at: u32| (magnitude >> at) & LOWEST_BITS;
        let (a, b, c, d, e, f, last) = (digit(0), digit(1), digit(2), digit(3), digit(4), digit(5), digit(6));
        // The seventh digit is alone in its window.
        let large = d | e | f | last;
        self.large += large;
        self.firing += a | b | c | large;
        self.spikes += a + b + c + d + e + f + last;
        self.several += ((a & (b | c)) | (b & c)) + ((d & (e | f)) | (e & f));
        self.three += (a & b & c) + (d & e & f);
        self.count += (magnitude & EVEN_BYTES) + ((magnitude >> 8) & EVEN_BYTES);
    }
}

fn bytes_together(word: u64) -> u64 {
    word.to_le_bytes().iter().map(|byte| u64::from(*byte)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, channel by channel.
    fn plain(counts: &[i64]) -> SpikeTally {
        let largest = counts.iter().map(|count| count.unsigned_abs()).max().unwrap_or(0);
        let windows = (u64::BITS - largest.leading_zeros()).max(1).div_ceil(3);
        let mut tally =
            SpikeTally { channels: counts.len() as u64, windows: u64::from(windows) * counts.len() as u64, ..Default::default() };
        for magnitude in counts.iter().map(|count| count.unsigned_abs()) {
            tally.silent += u64::from(magnitude == 0);
            tally.small += u64::from(magnitude <= 7);
            tally.count += magnitude;
            tally.spikes += u64::from(magnitude.count_ones());
            for window in 0..windows {
                let ones = (magnitude >> (3 * window) & 7).count_ones();
                tally.two += u64::from(ones == 2);
                tally.three += u64::from(ones == 3);
            }
        }
        tally
    }

    #[test]
    fn counts_beyond_any_sense_saturate() {
        let mut tally = SpikeTally::default();
        for _ in 0..2 {
            tally.add(&[127, 0, -127], &[f32::INFINITY, f32::MAX], f32::INFINITY);
        }
        assert_eq!((tally.count, tally.spikes, tally.windows), (u64::MAX, 4 * 64, 6 * 22));
        // Also where ordinary ones follow.
        tally.add(&[1, 0, -1], &[], 1.0);
        assert_eq!((tally.count, tally.spikes), (u64::MAX, 4 * 64 + 2));
        let mut counts = SpikeCounts { count: u64::MAX, ..Default::default() };
        counts += counts;
        assert_eq!(counts.count, u64::MAX);
    }

    #[test]
    fn sums_are_those_of_the_definition_at_every_length() {
        for length in [1usize, 15, 16, 17, 600, 1_537] {
            for scale in [1i64, 9, 200, 70_000] {
                let counts: Vec<i64> = (0..length as i64).map(|i| (i * 7_919 % (2 * scale + 1)) - scale).collect();
                let codes: Vec<i8> = counts.iter().map(|count| i8::try_from((*count).clamp(-127, 127)).unwrap()).collect();
                let magnitudes = || counts.iter().map(|count| count.unsigned_abs() as f32);
                let wide: Vec<f32> = magnitudes().filter(|count| *count > 127.0).collect();
                let mut tally = SpikeTally::default();
                tally.add(&codes, &wide, magnitudes().fold(0.0, f32::max));
                assert_eq!(tally, plain(&counts), "{length} channels within {scale}");
            }
        }
    }
}
