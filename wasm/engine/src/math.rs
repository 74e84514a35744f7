//! Scalar functions whose result is the same on every host.
//!
//! A conversation's state continues on another machine bit for bit, so nothing here may depend on the platform's own maths library, and
//! no product is fused with its sum. Loops over arrays of these are shaped so that the compiler can vectorise them without reordering.

use exponential::{COEFFICIENTS, GREATEST, LEAST, LN_2, ROUND};

/// The numbers of [`exp`], which vectors share: the least and the greatest exponent, what rounds to a whole number, ln 2 in two parts, and
/// the polynomial's coefficients.
pub mod exponential {
    /// Below, the result is 0.
    pub const LEAST: f32 = -87.0;
    /// Where it is capped.
    pub const GREATEST: f32 = 88.0;
    /// 1.5 * 2^23: adding it rounds to the nearest integer, ties to even.
    pub const ROUND: f32 = 12_582_912.0;
    /// ln 2, exact in few bits, and the rest.
    pub const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    /// From the highest power on; `x^2 (..) + x + 1` follows.
    pub const COEFFICIENTS: [f32; 6] = [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];
}

/// `e^x`, within 2 units in the last place; 0 below -87 (where `f32` would go subnormal), capped at `e^88`.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    let clamped = x.clamp(LEAST, GREATEST);
    let shifted = clamped * core::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    // n times the first part of ln 2 is exact.
    let r = (clamped - n * LN_2[0]) - n * LN_2[1];
    let mut p = COEFFICIENTS[0];
    for coefficient in &COEFFICIENTS[1..] {
        p = p * r + coefficient;
    }
    let y = p * (r * r) + r + 1.0;
    // n is in [-126, 127] after the clamp, and in the low bits of what it was rounded in: no conversion is needed, which vectors pay for.
    let scale = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    if x < LEAST { 0.0 } else { y * scale }
}

/// Logistic function.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// `x * sigmoid(x)`, the activation of SwiGLU (`swish`).
#[inline(always)]
pub fn silu(x: f32) -> f32 {
    x / (1.0 + exp(-x))
}

/// `ln(sigmoid(x))`, accurate at both ends.
pub fn log_sigmoid(x: f32) -> f32 {
    x.min(0.0) - libm::log1pf(libm::expf(-x.abs()))
}

/// Partial sums of an array.
pub const LANES: usize = 8;

/// Sum of products in eight fixed lanes.
#[inline(always)]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let tail: f32 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a_chunks.zip(b_chunks) {
        for lane in 0..LANES {
            lanes[lane] += x[lane] * y[lane];
        }
    }
    reduce(lanes) + tail
}

/// Sum of squares in eight fixed lanes.
#[inline(always)]
pub fn sum_of_squares(x: &[f32]) -> f32 {
    dot(x, x)
}

/// Adds `scale * x` to `y`.
#[inline(always)]
pub fn add_scaled(y: &mut [f32], scale: f32, x: &[f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += scale * x;
    }
}

/// The greater of two; `a` where they cannot be compared. A comparison, which is an instruction, and not `f32::max`, which is a call.
#[inline(always)]
pub fn greater(a: f32, b: f32) -> f32 {
    if b > a { b } else { a }
}

/// The largest of all; minus infinity of none, and where there is no number.
#[inline(always)]
pub fn largest(x: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = x.chunks_exact(LANES);
    let tail = chunks.remainder().iter().copied().fold(f32::NEG_INFINITY, greater);
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] = if chunk[lane] > lanes[lane] { chunk[lane] } else { lanes[lane] };
        }
    }
    lanes.into_iter().fold(tail, greater)
}

/// Scores become weights that sum to 1, in eight fixed lanes; minus infinity becomes 0. Returns the largest score and the sum of the
/// exponentials of the differences from it, whose logarithms add up to that of the sum of exponentials.
#[inline(always)]
pub fn softmax(scores: &mut [f32]) -> (f32, f32) {
    let largest = largest(scores);
    let mut sums = [0.0f32; LANES];
    let mut chunks = scores.chunks_exact_mut(LANES);
    for scores in chunks.by_ref() {
        for lane in 0..LANES {
            scores[lane] = exp(scores[lane] - largest);
            sums[lane] += scores[lane];
        }
    }
    let mut rest = 0.0;
    for score in chunks.into_remainder() {
        *score = exp(*score - largest);
        rest += *score;
    }
    let total = reduce(sums) + rest;
    let inverse = 1.0 / total;
    for score in scores {
        *score *= inverse;
    }
    (largest, total)
}

/// The sum of partial sums, in one order.
#[inline(always)]
pub fn reduce(lanes: [f32; LANES]) -> f32 {
    ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_within_two_units_in_the_last_place() {
        let mut x = -87.0f32;
        while x < 88.0 {
            let exact = f64::from(x).exp();
            let error = (f64::from(exp(x)) - exact).abs() / exact;
            assert!(error < 2.4e-7, "exp({x}) is off by {error}");
            x += 0.0137;
        }
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(0.0), 1.0);
    }

    #[test]
    fn the_largest_is_found_anywhere_and_what_is_no_number_is_passed_over() {
        for length in 0..40 {
            for at in 0..length {
                let mut x = vec![-2.0f32; length];
                (x[at], x[(at + 1) % length]) = (f32::NAN, f32::NAN);
                x[at] = -1.5;
                assert_eq!(largest(&x), -1.5, "{at} of {length}");
            }
        }
        assert_eq!(largest(&[f32::NAN; 9]), f32::NEG_INFINITY);
        assert_eq!(largest(&[f32::INFINITY, 0.0]), f32::INFINITY);
    }

    #[test]
    fn log_sigmoid_holds_at_both_ends() {
        assert!((f64::from(log_sigmoid(-50.0)) + 50.0).abs() < 1e-5);
        assert!(log_sigmoid(50.0) <= 0.0 && log_sigmoid(50.0) > -1e-20);
        assert!((log_sigmoid(0.0) + core::f32::consts::LN_2).abs() < 1e-7);
    }

    #[test]
    fn dot_counts_every_element_at_odd_lengths() {
        for length in 0..40 {
            let a: Vec<f32> = (0..length).map(|i| i as f32).collect();
            let expected: f32 = a.iter().map(|x| x * x).sum();
            assert_eq!(dot(&a, &a), expected);
        }
    }
}
