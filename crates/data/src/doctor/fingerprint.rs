//! A number for how a photograph looks, which small changes of size, quality or brightness leave nearly alone.

use crate::pixels::Pixels;
use crate::preprocessing::luma;

/// Cells of the grid that is compared.
const GRID: usize = 9;

/// 128 bits: is a cell of a 9 x 9 grid of mean grey values darker than its right neighbour (64 bits), and than the one below
/// (64 bits)? `None` for pictures smaller than the grid or without enough contrast to compare.
///
/// The difference hash of Krawetz, *Kind of Like That*, 2013, in both directions.
pub(super) fn visual(pixels: &Pixels) -> Option<u128> {
    if pixels.width < GRID || pixels.height < GRID {
        return None;
    }
    let mut sums = [[(0u64, 0u64); GRID]; GRID];
    for (y, line) in pixels.bytes.chunks_exact(3 * pixels.width).enumerate() {
        for (x, &pixel) in line.as_chunks::<3>().0.iter().enumerate() {
            let (sum, count) = &mut sums[y * GRID / pixels.height][x * GRID / pixels.width];
            *sum += u64::from(luma(pixel));
            *count += 1;
        }
    }
    let cells = sums.map(|row| row.map(|(sum, count)| sum as f64 / count as f64));
    // On a plain surface the signs are those of noise, and all plain pictures would look alike.
    let distinct = |a: f64, b: f64| (a - b).abs() >= 1.0;
    let mut bits = 0u128;
    let mut steps = 0;
    for y in 0..GRID - 1 {
        for x in 0..GRID - 1 {
            let (here, right, below) = (cells[y][x], cells[y][x + 1], cells[y + 1][x]);
            bits = bits << 2 | u128::from(here < right) << 1 | u128::from(here < below);
            steps += u32::from(distinct(here, right)) + u32::from(distinct(here, below));
        }
    }
    (steps >= 96).then_some(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waves(width: usize, height: usize, phase: f64) -> Pixels {
        let mut grey = Vec::new();
        for y in 0..height {
            for x in 0..width {
                let (u, v) = (x as f64 / width as f64, y as f64 / height as f64);
                let wave = (13.0 * u + phase).sin() + (17.0 * v + 3.0 * u * phase).cos();
                grey.push((128.0 + 60.0 * wave) as u8);
            }
        }
        Pixels::from_grey(width, height, &grey)
    }

    #[test]
    fn size_hardly_matters_and_another_picture_does() {
        let base = visual(&waves(200, 150, 0.5)).unwrap();
        let smaller = visual(&waves(90, 70, 0.5)).unwrap();
        let other = visual(&waves(200, 150, 4.0)).unwrap();
        assert!(
            (base ^ smaller).count_ones() <= 7,
            "{}",
            (base ^ smaller).count_ones()
        );
        assert!(
            (base ^ other).count_ones() > 20,
            "{}",
            (base ^ other).count_ones()
        );
    }

    #[test]
    fn plain_and_tiny_pictures_have_no_look() {
        assert_eq!(visual(&Pixels::from_grey(40, 40, &[7; 1600])), None);
        assert_eq!(visual(&waves(8, 40, 0.5)), None);
    }
}
