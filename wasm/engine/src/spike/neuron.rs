//! The adaptive-threshold neuron (`gpu-backend/docs/model.md#81-neuron`): a token's activations become signed integer spike counts.

use super::SpikeTally;
use crate::kernel::{Active, Kernel};

const LEAST_THRESHOLD: f64 = 1e-5;
const LARGEST_THRESHOLD: f64 = 1e4;
/// The largest magnitude of a code that the kernels take; a larger count keeps the rest in its value.
pub const LARGEST_CODE: f32 = 127.0;

/// What a row has fired.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fired {
    /// What one spike is worth.
    pub threshold: f32,
    /// The largest magnitude of a count, a whole number.
    pub largest: f32,
}

/// Replaces a row by `threshold * count`, and gives its counts as codes within -127 and 127. Counts are `x / threshold` rounded half to even and
/// never clamped: where one lies outside, its code is the nearest and its value tells the rest. The threshold is `mean(|x|) / k` within 1e-5
/// and 1e4, its mean taken in f64, so that no order of summation shows in it. `tally` counts.
pub fn fire(row: &mut [f32], k: f64, codes: &mut [i8], tally: Option<&mut SpikeTally>) -> Fired {
    let (sum, most) = Active::magnitudes(row);
    #[allow(clippy::cast_precision_loss)]
    let mean = sum / row.len() as f64;
    #[allow(clippy::cast_possible_truncation)]
    let threshold = (mean / k).clamp(LEAST_THRESHOLD, LARGEST_THRESHOLD) as f32;
    let largest = (most / threshold).round_ties_even();
    let wide = |x: f32| Some((x / threshold).round_ties_even().abs()).filter(|count| *count > LARGEST_CODE);
    let beyond = tally.is_some() && largest > LARGEST_CODE;
    let wide_counts: Vec<f32> = if beyond { row.iter().filter_map(|x| wide(*x)).collect() } else { Vec::new() };
    Active::count(row, threshold, largest, codes);
    if let Some(tally) = tally {
        tally.add(&codes[..row.len()], &wide_counts, largest);
    }
    Fired { threshold, largest }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_rounded_half_to_even_and_signed() {
        // Magnitudes with mean 3, so that a threshold of k = 3 is 1.
        let mut row = [0.5, 1.5, 2.5, -2.5, -3.5, 7.5];
        let mut codes = [0; 6];
        assert_eq!(fire(&mut row, 3.0, &mut codes, None), Fired { threshold: 1.0, largest: 8.0 });
        assert_eq!(codes, [0, 2, 2, -2, -4, 8]);
        assert_eq!(row, [0.0, 2.0, 2.0, -2.0, -4.0, 8.0]);
    }

    #[test]
    fn thresholds_stay_within_their_bounds() {
        let mut codes = [0; 4];
        assert_eq!(fire(&mut [0.0; 4], 3.0, &mut codes, None), Fired { threshold: 1e-5, largest: 0.0 });
        assert_eq!(fire(&mut [1e9; 4], 3.0, &mut codes, None).threshold, 1e4);
    }

    #[test]
    fn a_count_that_no_code_holds_keeps_its_value() {
        let mut row = vec![0.0; 300];
        row[7] = -300.0;
        let mut codes = vec![0; 300];
        // The mean is 1, the threshold 1/3, the count 900.
        let fired = fire(&mut row, 3.0, &mut codes, None);
        assert_eq!((codes[7], fired.largest), (-127, 900.0));
        assert_eq!(row[7], fired.threshold * -900.0);
    }
}
