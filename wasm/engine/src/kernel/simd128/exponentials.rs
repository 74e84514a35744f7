//! What is made of exponentials, eight numbers at a time: [`crate::math`] to the bit, whose operations these are, in its order.

use crate::math::exponential::{COEFFICIENTS, GREATEST, LEAST, LN_2, ROUND};
use crate::math::{self, LANES, greater, reduce};
use core::arch::wasm32::*;

/// Two vectors go side by side, so that constants are loaded once for both.
type Pair = [v128; 2];

#[inline(always)]
fn both(x: Pair, f: impl Fn(v128) -> v128) -> Pair {
    x.map(f)
}

#[inline(always)]
fn each(x: Pair, y: Pair, f: impl Fn(v128, v128) -> v128) -> Pair {
    [f(x[0], y[0]), f(x[1], y[1])]
}

#[inline(always)]
unsafe fn load(at: *const f32) -> Pair {
    // SAFETY: the caller passes eight readable numbers.
    unsafe { [v128_load(at.cast()), v128_load(at.add(4).cast())] }
}

#[inline(always)]
unsafe fn store(at: *mut f32, x: Pair) {
    // SAFETY: the caller passes room for eight numbers.
    unsafe {
        v128_store(at.cast(), x[0]);
        v128_store(at.add(4).cast(), x[1]);
    }
}

#[inline(always)]
fn numbers(x: Pair) -> [f32; LANES] {
    let mut numbers = [0.0; LANES];
    // SAFETY: there is room for eight.
    unsafe { store(numbers.as_mut_ptr(), x) };
    numbers
}

/// [`math::exp`]
#[inline(always)]
fn exp(x: Pair) -> Pair {
    let clamped = both(x, |x| f32x4_pmin(f32x4_pmax(x, f32x4_splat(LEAST)), f32x4_splat(GREATEST)));
    let shifted = both(clamped, |x| f32x4_add(f32x4_mul(x, f32x4_splat(core::f32::consts::LOG2_E)), f32x4_splat(ROUND)));
    let n = both(shifted, |x| f32x4_sub(x, f32x4_splat(ROUND)));
    let r = each(clamped, n, |x, n| f32x4_sub(x, f32x4_mul(n, f32x4_splat(LN_2[0]))));
    let r = each(r, n, |r, n| f32x4_sub(r, f32x4_mul(n, f32x4_splat(LN_2[1]))));
    let mut p = [f32x4_splat(COEFFICIENTS[0]); 2];
    for coefficient in &COEFFICIENTS[1..] {
        p = each(p, r, |p, r| f32x4_add(f32x4_mul(p, r), f32x4_splat(*coefficient)));
    }
    let y = each(p, r, |p, r| f32x4_add(f32x4_add(f32x4_mul(p, f32x4_mul(r, r)), r), f32x4_splat(1.0)));
    let scale = both(shifted, |x| i32x4_shl(i32x4_add(x, i32x4_splat(127)), 23));
    let capped = each(y, scale, |y, scale| f32x4_mul(y, scale));
    each(capped, x, |y, x| v128_andnot(y, f32x4_lt(x, f32x4_splat(LEAST))))
}

/// Every number becomes its exponential.
#[inline(always)]
pub(super) fn exp_all(x: &mut [f32]) {
    let mut whole = x.chunks_exact_mut(LANES);
    for eight in whole.by_ref() {
        // SAFETY: there are eight.
        unsafe { store(eight.as_mut_ptr(), exp(load(eight.as_ptr()))) };
    }
    whole.into_remainder().iter_mut().for_each(|x| *x = math::exp(*x));
}

/// [`math::softmax`]
#[inline(always)]
pub(super) fn softmax(scores: &mut [f32]) -> (f32, f32) {
    let whole = scores.len() / LANES * LANES;
    let (start, rest) = (scores.as_mut_ptr(), whole..scores.len());
    // SAFETY: eight numbers from any multiple of eight below `whole` on are within `scores`.
    unsafe {
        let mut most = [f32x4_splat(f32::NEG_INFINITY); 2];
        for at in (0..whole).step_by(LANES) {
            most = each(most, load(start.add(at)), |most, x| f32x4_pmax(most, x));
        }
        let of_rest = scores[rest.clone()].iter().copied().fold(f32::NEG_INFINITY, greater);
        let largest = numbers(most).into_iter().fold(of_rest, greater);
        let mut sums = [f32x4_splat(0.0); 2];
        for at in (0..whole).step_by(LANES) {
            let x = exp(both(load(start.add(at)), |x| f32x4_sub(x, f32x4_splat(largest))));
            sums = each(sums, x, |sum, x| f32x4_add(sum, x));
            store(start.add(at), x);
        }
        let mut sum_of_rest = 0.0;
        for score in &mut scores[rest.clone()] {
            *score = math::exp(*score - largest);
            sum_of_rest += *score;
        }
        let total = reduce(numbers(sums)) + sum_of_rest;
        let inverse = 1.0 / total;
        for at in (0..whole).step_by(LANES) {
            store(start.add(at), both(load(start.add(at)), |x| f32x4_mul(x, f32x4_splat(inverse))));
        }
        scores[rest].iter_mut().for_each(|score| *score *= inverse);
        (largest, total)
    }
}

/// `silu(gate) * up`, where `out` has as many numbers as are wanted.
#[inline(always)]
pub(super) fn gated(gate: &[f32], up: &[f32], out: &mut [f32]) {
    let whole = out.len() / LANES * LANES;
    assert!(gate.len() >= out.len() && up.len() >= out.len(), "as many inputs as outputs");
    for at in (0..whole).step_by(LANES) {
        // SAFETY: all three have eight numbers from `at` on.
        unsafe {
            let gate = load(gate.as_ptr().add(at));
            let open = both(exp(both(gate, |x| f32x4_neg(x))), |x| f32x4_add(f32x4_splat(1.0), x));
            let silu = each(gate, open, |x, open| f32x4_div(x, open));
            store(out.as_mut_ptr().add(at), each(silu, load(up.as_ptr().add(at)), |x, up| f32x4_mul(x, up)));
        }
    }
    for at in whole..out.len() {
        out[at] = math::silu(gate[at]) * up[at];
    }
}
