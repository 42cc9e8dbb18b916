//! From the coefficients of a block to its pixels: 8 to a side exactly, or 4, 2 or 1 from the lowest frequencies.

use std::num::Wrapping;

/// Multiplied coefficients, row by row; numbers of damaged files may wrap, but never stop the program.
pub(super) type Block = [Wrapping<i32>; 64];

/// Bits behind the point of the constants, and of the values between the two passes.
const POINT: usize = 13;
const BETWEEN: usize = 2;

const fn constant(value: f64) -> Wrapping<i32> {
    Wrapping((value * (1 << POINT) as f64 + 0.5) as i32)
}

/// The pixels of a block whose coefficients after `last`, in coded order, are zero: `side` to a side, into rows of `stride`
/// bytes.
///
/// # Panics
/// If `pixels` has no room for them.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(super) fn transform(block: &Block, last: usize, side: usize, pixels: &mut [u8], stride: usize) {
    match side {
        8 if last == 0 => {
            let value = flat(block[0]);
            for line in pixels.chunks_mut(stride).take(8) {
                line[..8].fill(value);
            }
        }
        8 => full(block, pixels, stride),
        4 => reduced::<4>(block, pixels, stride),
        2 => reduced::<2>(block, pixels, stride),
        _ => reduced::<1>(block, pixels, stride),
    }
}

/// All 64 pixels of a block.
#[cfg_attr(not(debug_assertions), inline(always))]
fn full(block: &Block, pixels: &mut [u8], stride: usize) {
    let columns = pass(block, POINT - BETWEEN);
    let rows = pass(&transposed(&columns), POINT + BETWEEN + 3);
    let rows = transposed(&rows);
    for (row, values) in rows.as_chunks::<8>().0.iter().enumerate() {
        let line = &mut pixels[row * stride..row * stride + 8];
        for (pixel, value) in line.iter_mut().zip(values) {
            *pixel = (value.0 + 128).clamp(0, 255) as u8;
        }
    }
}

/// A block that has only its first coefficient is of one colour.
#[cfg_attr(not(debug_assertions), inline(always))]
fn flat(first: Wrapping<i32>) -> u8 {
    let value = ((first << BETWEEN) + Wrapping(1 << (BETWEEN + 2))) >> (BETWEEN + 3);
    (value.0 + 128).clamp(0, 255) as u8
}

#[cfg_attr(not(debug_assertions), inline(always))]
fn transposed(block: &Block) -> Block {
    let mut turned = [Wrapping(0); 64];
    for row in 0..8 {
        for column in 0..8 {
            turned[8 * column + row] = block[8 * row + column];
        }
    }
    turned
}

/// The transform along each column, rounded to `shift` fewer bits. The signal flow is that of Loeffler, Ligtenberg and
/// Moschytz with twelve multiplications; products and roundings come in the order in which libjpeg has them.
#[cfg_attr(not(debug_assertions), inline(always))]
fn pass(input: &Block, shift: usize) -> Block {
    let mut output = [Wrapping(0); 64];
    let half = Wrapping(1 << (shift - 1));
    for column in 0..8 {
        let at = |row: usize| input[8 * row + column];

        // Even part.
        let turn = (at(2) + at(6)) * constant(0.541_196_100);
        let low = turn - at(6) * constant(1.847_759_065);
        let high = turn + at(2) * constant(0.765_366_865);
        let sum = (at(0) + at(4)) << POINT;
        let difference = (at(0) - at(4)) << POINT;
        let even = [sum + high, difference + low, difference - low, sum - high];

        // Odd part.
        let (a, b, c, d) = (at(7), at(5), at(3), at(1));
        let both = (a + c + b + d) * constant(1.175_875_602);
        let ad = (a + d) * constant(0.899_976_223);
        let bc = (b + c) * constant(2.562_915_447);
        let ac = both - (a + c) * constant(1.961_570_560);
        let bd = both - (b + d) * constant(0.390_180_644);
        let odd = [
            d * constant(1.501_321_110) - ad + bd,
            c * constant(3.072_711_026) - bc + ac,
            b * constant(2.053_119_869) - bc + bd,
            a * constant(0.298_631_336) - ad + ac,
        ];

        for row in 0..4 {
            output[8 * row + column] = (even[row] + odd[row] + half) >> shift;
            output[8 * (7 - row) + column] = (even[row] - odd[row] + half) >> shift;
        }
    }
    output
}

/// `SIDE` x `SIDE` pixels of a block from its lowest frequencies: the block seen at a lower resolution.
///
/// With `A[k][x] = c(k) / 2 * cos((2 x + 1) k pi / (2 SIDE))`, `c(0) = sqrt(1/2)` and else 1, the pixels are `A' F A`.
#[cfg_attr(not(debug_assertions), inline(always))]
fn reduced<const SIDE: usize>(block: &Block, pixels: &mut [u8], stride: usize) {
    let basis = basis::<SIDE>();
    let mut half = [[0f32; SIDE]; SIDE];
    for row in 0..SIDE {
        for x in 0..SIDE {
            half[row][x] = (0..SIDE)
                .map(|k| basis[k][x] * block[8 * row + k].0 as f32)
                .sum();
        }
    }
    for y in 0..SIDE {
        for x in 0..SIDE {
            let value: f32 = (0..SIDE).map(|k| basis[k][y] * half[k][x]).sum();
            // A cast to u8 stops at 0 and 255.
            pixels[y * stride + x] = (value + 128.5).floor() as u8;
        }
    }
}

/// The cosines of the three sizes, as constants so that the same numbers are used everywhere.
#[cfg_attr(not(debug_assertions), inline(always))]
fn basis<const SIDE: usize>() -> [[f32; SIDE]; SIDE] {
    const FLAT: f32 = (std::f64::consts::FRAC_1_SQRT_2 / 2.0) as f32;
    // cos(pi / 8) / 2, cos(3 pi / 8) / 2
    const STEEP: f32 = 0.461_939_766_255_643_4_f64 as f32;
    const GENTLE: f32 = 0.191_341_716_182_544_9_f64 as f32;
    let four = [
        [FLAT, FLAT, FLAT, FLAT],
        [STEEP, GENTLE, -GENTLE, -STEEP],
        [FLAT, -FLAT, -FLAT, FLAT],
        [GENTLE, -STEEP, STEEP, -GENTLE],
    ];
    let two = [[FLAT, FLAT], [FLAT, -FLAT]];
    let mut basis = [[FLAT; SIDE]; SIDE];
    for k in 0..SIDE {
        for x in 0..SIDE {
            match SIDE {
                4 => basis[k][x] = four[k][x],
                2 => basis[k][x] = two[k][x],
                _ => {}
            }
        }
    }
    basis
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Coefficients that fall off as those of photographs do, and change sign.
    fn block(seed: i32) -> Block {
        let value = |n: i32| ((n * 37 + seed * 101) % 64 - 32) * 12 / (1 + n / 8 + n % 8);
        std::array::from_fn(|n| Wrapping(value(n as i32)))
    }

    /// The definition in T.81, A.3.3, in f64.
    fn expected(block: &Block, side: usize) -> Vec<f64> {
        let basis = |k: usize, x: usize| {
            let scale = if k == 0 { 0.5f64.sqrt() } else { 1.0 };
            let angle = (2 * x + 1) as f64 * k as f64 * std::f64::consts::PI / (2 * side) as f64;
            scale / 2.0 * angle.cos()
        };
        let mut pixels = Vec::new();
        for y in 0..side {
            for x in 0..side {
                let mut value = 0.0;
                for v in 0..side {
                    for u in 0..side {
                        value += basis(v, y) * basis(u, x) * f64::from(block[8 * v + u].0);
                    }
                }
                pixels.push((value + 128.0).clamp(0.0, 255.0));
            }
        }
        pixels
    }

    #[test]
    fn every_size_follows_the_definition() {
        for seed in 0..50 {
            let block = block(seed);
            for side in [8, 4, 2, 1] {
                let mut pixels = [0; 8 * 11];
                match side {
                    8 => full(&block, &mut pixels, 11),
                    4 => reduced::<4>(&block, &mut pixels, 11),
                    2 => reduced::<2>(&block, &mut pixels, 11),
                    _ => reduced::<1>(&block, &mut pixels, 11),
                }
                for (n, want) in expected(&block, side).into_iter().enumerate() {
                    let got = f64::from(pixels[n / side * 11 + n % side]);
                    // Rounding to whole levels, and a little for the fixed point between the passes.
                    assert!(
                        (got - want).abs() < 0.75,
                        "{side}: pixel {n} is {got}, not {want}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_flat_block_is_the_full_transform_of_its_first_coefficient() {
        for first in (-1100..1100).step_by(7) {
            let mut block = [Wrapping(0); 64];
            block[0] = Wrapping(first);
            let mut pixels = [0; 64];
            full(&block, &mut pixels, 8);
            assert_eq!(pixels, [flat(block[0]); 64], "{first}");
        }
    }
}
