//! What is measured of spikes (`model.md` 3.4): sums that are exact in integers.
//!
//! A channel's spikes are those of the bidirectional coding: the ones among the binary digits of its count. A token's steps are as many as
//! its largest count has digits, cut into windows of three from the least significant step on; the paper's figure shows the shares of
//! windows with 0, 1, 2 and at least 3 spikes.

use super::Site;
use crate::error::Result;
use crate::memory::zeroed;

const WINDOW_STEPS: u32 = 3;
const SMALL_COUNT: u8 = 7;
const LANES: usize = 16;
/// A lane of eight bits holds the spikes of so many channels of at most seven each.
const LANE_CHANNELS: usize = 36;

/// Sums over channels and tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpikeCounts {
    /// Inputs seen.
    pub channels: u64,
    /// Those with count 0.
    pub silent: u64,
    /// Those with a count of at most 7 in magnitude.
    pub small: u64,
    /// Sum of the counts' magnitudes.
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
        self.count += other.count;
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
        for block in codes.chunks(LANES * LANE_CHANNELS) {
            self.add_codes(block);
        }
        // A code of 127 has been counted in place of each of these: seven spikes, six of them in two full windows.
        for magnitude in wide.iter().map(|count| whole(*count)) {
            self.count = self.count + magnitude - 127;
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

    /// Lane by lane, sixteen channels at a time, so that the compiler makes vectors of it.
    fn add_codes(&mut self, codes: &[i8]) {
        let mut silent = [0u8; LANES];
        let mut small = [0u8; LANES];
        let mut spikes = [0u8; LANES];
        let mut several = [0u8; LANES];
        let mut three = [0u8; LANES];
        let mut count = [0u16; LANES];
        let sixteens = codes.chunks_exact(LANES);
        let mut last = [0i8; LANES];
        last[..sixteens.remainder().len()].copy_from_slice(sixteens.remainder());
        let padding = if sixteens.remainder().is_empty() { 0 } else { LANES - sixteens.remainder().len() };
        let mut add = |codes: &[i8]| {
            for lane in 0..LANES {
                let magnitude = codes[lane].unsigned_abs();
                // The seventh digit is alone in its window.
                let (low, middle) = (magnitude & 7, (magnitude >> 3) & 7);
                let (low_spikes, middle_spikes) = (ones_of_three(low), ones_of_three(middle));
                silent[lane] += u8::from(magnitude == 0);
                small[lane] += u8::from(magnitude <= SMALL_COUNT);
                spikes[lane] += low_spikes + middle_spikes + (magnitude >> 6);
                several[lane] += u8::from(low_spikes >= 2) + u8::from(middle_spikes >= 2);
                three[lane] += u8::from(low == 7) + u8::from(middle == 7);
                count[lane] += u16::from(magnitude);
            }
        };
        for sixteen in sixteens {
            add(sixteen);
        }
        if padding > 0 {
            add(&last);
        }
        let sum = |lanes: [u8; LANES]| lanes.iter().map(|lane| u64::from(*lane)).sum::<u64>();
        let three = sum(three);
        self.silent += sum(silent) - padding as u64;
        self.small += sum(small) - padding as u64;
        self.spikes += sum(spikes);
        self.two += sum(several) - three;
        self.three += three;
        self.count += count.iter().map(|lane| u64::from(*lane)).sum::<u64>();
    }
}

/// Ones among three binary digits.
#[inline(always)]
fn ones_of_three(digits: u8) -> u8 {
    (digits & 1) + ((digits >> 1) & 1) + (digits >> 2)
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
