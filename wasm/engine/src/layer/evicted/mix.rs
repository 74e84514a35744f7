//! How what is remembered joins the window's output (steps 4 and 5).

use crate::math::sigmoid;

const RAMP_TOKENS: f32 = 128.0;
const LEAST_NORMALISER: f32 = 1e-6;

/// `r = n / (n + 128)` of `n` evicted tokens.
pub fn ramp(evicted: usize) -> f32 {
    #[allow(clippy::cast_precision_loss)]
    let evicted = evicted as f32;
    evicted / (evicted + RAMP_TOKENS)
}

/// What opens the mix and the correction of one head at one token.
#[derive(Debug, Clone, Copy)]
pub struct Gates {
    /// `r`
    pub ramp: f32,
    /// `w x + c`
    pub mix: f32,
    /// `d`
    pub normaliser: f32,
    /// `e`
    pub matching: f32,
    /// The natural log of attention's sum of exponentials.
    pub log_normaliser: f32,
    /// Of `C x`: the head's part of `s` and of `u`, before the sigmoid.
    pub correction: (f32, f32),
}

/// `heads` is what attention has made of one head, `[head_dim]`, and becomes the mixer's output; `numerator` is alike. `scale` and `bias` are
/// the head's of the correction.
pub fn join_and_correct(heads: &mut [f32], numerator: &[f32], denominator: f32, gates: Gates, scale: &[f32], bias: &[f32]) {
    let denominator = denominator + LEAST_NORMALISER;
    let met = gates.normaliser * gates.log_normaliser + gates.matching * libm::logf(denominator);
    let share = gates.ramp * sigmoid(gates.mix + met);
    let opened = 1.0 + gates.ramp * (2.0 * sigmoid(gates.correction.0) - 1.0);
    let shifted = 1.0 + gates.ramp * (2.0 * sigmoid(gates.correction.1) - 1.0);
    let inverse = 1.0 / denominator;
    for (((out, numerator), scale), bias) in heads.iter_mut().zip(numerator).zip(scale).zip(bias) {
        let joined = *out + share * (numerator * inverse - *out);
        *out = joined * opened * (1.0 + gates.ramp * scale) + gates.ramp * bias * shifted;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ramp_is_half_open_after_128_tokens() {
        assert_eq!([ramp(0), ramp(128), ramp(384)], [0.0, 0.5, 0.75]);
    }

    #[test]
    fn a_closed_mix_and_a_neutral_correction_change_nothing() {
        let gates = Gates { ramp: 1.0, mix: -200.0, normaliser: 0.0, matching: 0.0, log_normaliser: 1.0, correction: (0.0, 0.0) };
        let mut heads = [1.0, -2.0];
        join_and_correct(&mut heads, &[5.0, 5.0], 1.0, gates, &[0.0; 2], &[0.0; 2]);
        assert_eq!(heads, [1.0, -2.0]);
        let open = Gates { mix: 200.0, correction: (200.0, -200.0), ..gates };
        join_and_correct(&mut heads, &[5.0, 5.0], 1.0, open, &[0.0, 0.5], &[1.0; 2]);
        assert!((heads[0] - 10.0).abs() < 1e-4 && (heads[1] - 15.0).abs() < 1e-4, "{heads:?}");
    }
}
