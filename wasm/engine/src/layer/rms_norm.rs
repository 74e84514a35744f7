//! RMSNorm (`gpu-backend/docs/model.md#32-rmsnorm`): `x * rsqrt(mean(x^2) + epsilon) * weight`, in fp32.

use crate::math::sum_of_squares;

/// One row: `x` and `weight` are `[width]`.
pub fn rms_norm(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
    let scale = inverse_rms(x, epsilon);
    for ((out, x), weight) in out.iter_mut().zip(x).zip(weight) {
        *out = x * scale * weight;
    }
}

/// As [`rms_norm`], over each `weight.len()` wide part of `x`.
pub fn rms_norm_in_place(x: &mut [f32], weight: &[f32], epsilon: f32) {
    for part in x.chunks_exact_mut(weight.len()) {
        let scale = inverse_rms(part, epsilon);
        for (x, weight) in part.iter_mut().zip(weight) {
            *x = *x * scale * weight;
        }
    }
}

fn inverse_rms(x: &[f32], epsilon: f32) -> f32 {
    #[allow(clippy::cast_precision_loss)]
    let mean = sum_of_squares(x) / x.len() as f32;
    1.0 / (mean + epsilon).sqrt()
}
