//! Rotary position embedding, half-split form (`gpu-backend/docs/model.md#51-rotary-positions`): dimension `i` is rotated with dimension
//! `i + rope_dim / 2`.

use crate::config::Config;

/// Inverse frequencies, one for each pair.
#[derive(Debug, Clone)]
pub struct Rope {
    inverse_frequencies: Vec<f64>,
}

impl Rope {
    /// `theta^(-2i / rope_dim)`.
    pub fn new(config: &Config) -> Self {
        #[allow(clippy::cast_precision_loss)]
        let exponent = |pair: usize| -2.0 * pair as f64 / config.rope_dim as f64;
        Self { inverse_frequencies: (0..config.rope_dim / 2).map(|pair| libm::pow(config.rope_theta, exponent(pair))).collect() }
    }

    /// Pairs that are rotated.
    pub fn pairs(&self) -> usize {
        self.inverse_frequencies.len()
    }

    /// Cosines, then sines, of every pair at `position`: `[2, pairs]`. Angles are exact to f64, so far positions do not blur.
    pub fn angles(&self, position: usize, out: &mut [f32]) {
        let (cosines, sines) = out.split_at_mut(self.pairs());
        for ((frequency, cosine), sine) in self.inverse_frequencies.iter().zip(cosines).zip(sines) {
            #[allow(clippy::cast_precision_loss)]
            let (s, c) = libm::sincos(position as f64 * frequency);
            #[allow(clippy::cast_possible_truncation)]
            {
                (*cosine, *sine) = (c as f32, s as f32);
            }
        }
    }
}

/// Rotates `rows` rows of heads, each by its own angles: `[rows, 2, pairs]`.
pub fn rotate_rows(x: &mut [f32], head_dim: usize, angles: &[f32], rows: usize) {
    let (width, angle_width) = (x.len() / rows.max(1), angles.len() / rows.max(1));
    if width > 0 && angle_width > 0 {
        for (row, angles) in x.chunks_exact_mut(width).zip(angles.chunks_exact(angle_width)) {
            rotate(row, head_dim, angles);
        }
    }
}

/// Rotates every head of `x`, `[heads, head_dim]`, by the angles of its position.
pub fn rotate(x: &mut [f32], head_dim: usize, angles: &[f32]) {
    let pairs = angles.len() / 2;
    let (cosines, sines) = angles.split_at(pairs);
    for head in x.chunks_exact_mut(head_dim) {
        let (first, second) = head[..2 * pairs].split_at_mut(pairs);
        for pair in 0..pairs {
            let (a, b) = (first[pair], second[pair]);
            first[pair] = a * cosines[pair] - b * sines[pair];
            second[pair] = b * cosines[pair] + a * sines[pair];
        }
    }
}
