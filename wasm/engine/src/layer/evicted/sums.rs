//! The sums of evicted tokens (steps 3 and 6): `[num, den]_t = phi_q(q_t) S_t`, then `S_(t+1) = g S_t + phi_k(k) [v, 1]^T`.
//!
//! [`naive`] is the definition; [`read_and_take`] is the same to the bit, with a few columns of the sums in registers: every number is a sum
//! over the features in their order in both.

/// Columns of the sums that are handled together: two vectors.
const COLUMNS: usize = 8;

/// Of one KV head: its sums, `[features, head_dim]`, their normalisers, `[features]`, and the factor by which both decay with a token.
#[derive(Debug)]
pub struct Remembered<'a> {
    /// Changed by the token that leaves.
    pub sums: &'a mut [f32],
    /// Alike.
    pub normalisers: &'a mut [f32],
    /// `g`
    pub decay: f32,
}

/// One token: `queries` are the features of the heads of a group, `[heads, features]`, `numerators` `[heads, head_dim]`, `denominators`
/// `[heads]`; `key` and `value` are those of the token that leaves after it.
pub fn naive(remembered: Remembered<'_>, queries: &[f32], key: &[f32], value: &[f32], numerators: &mut [f32], denominators: &mut [f32]) {
    let Remembered { sums, normalisers, decay } = remembered;
    let (dim, features) = (value.len(), key.len());
    numerators.fill(0.0);
    denominators.fill(0.0);
    for (feature, (row, normaliser)) in sums.chunks_exact_mut(dim).zip(normalisers).enumerate() {
        let heads = numerators.chunks_exact_mut(dim).zip(denominators.iter_mut()).zip(queries.chunks_exact(features));
        for ((numerator, denominator), query) in heads {
            for (numerator, sum) in numerator.iter_mut().zip(row.iter()) {
                *numerator += query[feature] * sum;
            }
            *denominator += query[feature] * *normaliser;
        }
        for (sum, value) in row.iter_mut().zip(value) {
            *sum = decay * *sum + key[feature] * value;
        }
        *normaliser = decay * *normaliser + key[feature];
    }
}

/// As [`naive`].
pub fn read_and_take(
    remembered: Remembered<'_>,
    queries: &[f32],
    key: &[f32],
    value: &[f32],
    numerators: &mut [f32],
    denominators: &mut [f32],
) {
    let Remembered { sums, normalisers, decay } = remembered;
    let (dim, features) = (value.len(), key.len());
    let whole = dim / COLUMNS * COLUMNS;
    let heads = denominators.len();
    let mut head = 0;
    while head < heads {
        let count = (heads - head).min(4);
        let queries = &queries[head * features..(head + count) * features];
        let numerators = &mut numerators[head * dim..(head + count) * dim];
        // The sums change once, with the last heads that read them.
        let take = head + count == heads;
        for at in (0..whole).step_by(COLUMNS) {
            let value = take.then_some((&value[at..at + COLUMNS], key, decay));
            match count {
                4 => columns::<4>(sums, dim, at, queries, value, numerators),
                3 => columns::<3>(sums, dim, at, queries, value, numerators),
                2 => columns::<2>(sums, dim, at, queries, value, numerators),
                _ => columns::<1>(sums, dim, at, queries, value, numerators),
            }
        }
        for at in whole..dim {
            for (query, numerator) in queries.chunks_exact(features).zip(numerators.chunks_exact_mut(dim)) {
                numerator[at] = sums.iter().skip(at).step_by(dim).zip(query).fold(0.0, |sum, (s, q)| sum + q * s);
            }
            if take {
                for (sum, key) in sums.iter_mut().skip(at).step_by(dim).zip(key) {
                    *sum = decay * *sum + key * value[at];
                }
            }
        }
        head += count;
    }
    for (denominator, query) in denominators.iter_mut().zip(queries.chunks_exact(features)) {
        *denominator = normalisers.iter().zip(query).fold(0.0, |sum, (s, q)| sum + q * s);
    }
    for (normaliser, key) in normalisers.iter_mut().zip(key) {
        *normaliser = decay * *normaliser + key;
    }
}

/// Some columns from `at` on, for `H` heads: numerators, and with `taken`, `(values, keys, decay)`, the sums after the token has left.
#[inline(always)]
fn columns<const H: usize>(
    sums: &mut [f32],
    dim: usize,
    at: usize,
    queries: &[f32],
    taken: Option<(&[f32], &[f32], f32)>,
    numerators: &mut [f32],
) {
    let features = queries.len() / H;
    let mut totals = [[0.0f32; COLUMNS]; H];
    let queries: [&[f32]; H] = core::array::from_fn(|head| &queries[head * features..(head + 1) * features]);
    let rows = sums.chunks_exact_mut(dim).map(|row| &mut row[at..at + COLUMNS]).enumerate();
    match taken {
        None => {
            for (feature, row) in rows {
                add(&mut totals, &core::array::from_fn(|column| row[column]), &queries, feature);
            }
        }
        Some((values, keys, decay)) => {
            let values: [f32; COLUMNS] = core::array::from_fn(|column| values[column]);
            for (feature, row) in rows {
                let before: [f32; COLUMNS] = core::array::from_fn(|column| row[column]);
                add(&mut totals, &before, &queries, feature);
                let key = keys[feature];
                for column in 0..COLUMNS {
                    row[column] = decay * before[column] + key * values[column];
                }
            }
        }
    }
    for (totals, numerator) in totals.iter().zip(numerators.chunks_exact_mut(dim)) {
        numerator[at..at + COLUMNS].copy_from_slice(totals);
    }
}

/// A function and not a closure, which the compiler would call.
#[inline(always)]
fn add<const H: usize>(totals: &mut [[f32; COLUMNS]; H], row: &[f32; COLUMNS], queries: &[&[f32]; H], feature: usize) {
    for (totals, query) in totals.iter_mut().zip(queries) {
        for column in 0..COLUMNS {
            totals[column] += query[feature] * row[column];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fast_form_is_the_definition_to_the_bit() {
        let mut seed = 1u32;
        let mut draw = |count: usize| -> Vec<f32> {
            let mut next = || {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 8) as f32 / 8_388_608.0 - 1.0
            };
            (0..count).map(|_| next()).collect()
        };
        for (heads, dim) in [(1, 2), (2, 6), (3, 64), (4, 8), (5, 18), (9, 16)] {
            let (mut sums, mut normalisers) = (draw(2 * dim * dim), draw(2 * dim));
            let (queries, key, value) = (draw(heads * 2 * dim), draw(2 * dim), draw(dim));
            let (mut other_sums, mut other_normalisers) = (sums.clone(), normalisers.clone());
            let (mut found, mut expected) = (vec![1.0; heads * (dim + 1)], vec![2.0; heads * (dim + 1)]);
            for _ in 0..3 {
                let (numerators, denominators) = found.split_at_mut(heads * dim);
                let fast = Remembered { sums: &mut sums, normalisers: &mut normalisers, decay: 0.97 };
                read_and_take(fast, &queries, &key, &value, numerators, denominators);
                let (numerators, denominators) = expected.split_at_mut(heads * dim);
                let plain = Remembered { sums: &mut other_sums, normalisers: &mut other_normalisers, decay: 0.97 };
                naive(plain, &queries, &key, &value, numerators, denominators);
                assert_eq!(found, expected, "{heads} heads of {dim}");
                assert_eq!((&sums, &normalisers), (&other_sums, &other_normalisers), "{heads} heads of {dim}");
            }
        }
    }
}
