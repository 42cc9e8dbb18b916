//! Turning the square about its centre: nearest pixel, black corners, as torchvision's rotation does by default.

/// Turns a `side` x `side` RGB square counter-clockwise; `scratch` receives the old content.
pub(crate) fn rotate(square: &mut Vec<u8>, side: usize, degrees: f32, scratch: &mut Vec<u8>) {
    scratch.clear();
    scratch.resize(square.len(), 0);
    std::mem::swap(square, scratch);
    let (sine, cosine) = f64::from(degrees).to_radians().sin_cos();
    let centre = side as f64 / 2.0;
    for row in 0..side {
        for column in 0..side {
            // Where this pixel's middle came from.
            let (right, down) = (column as f64 + 0.5 - centre, row as f64 + 0.5 - centre);
            let from_column = (cosine * right - sine * down + centre).floor();
            let from_row = (sine * right + cosine * down + centre).floor();
            let inside = 0.0..side as f64;
            if inside.contains(&from_column) && inside.contains(&from_row) {
                let from = 3 * (from_row as usize * side + from_column as usize);
                let to = 3 * (row * side + column);
                square[to..to + 3].copy_from_slice(&scratch[from..from + 3]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values are from torchvision 0.29.2: `functional.rotate(x, degrees)` of the 5 x 5 tensor holding 1 to 25.
    #[test]
    fn turns_agree_with_torchvision() {
        let cases: [(f32, [u8; 25]); 3] = [
            (
                90.0,
                [
                    5, 10, 15, 20, 25, 4, 9, 14, 19, 24, 3, 8, 13, 18, 23, 2, 7, 12, 17, 22, 1, 6,
                    11, 16, 21,
                ],
            ),
            (
                33.0,
                [
                    0, 3, 4, 10, 0, 2, 8, 9, 14, 15, 6, 7, 13, 19, 20, 11, 12, 17, 18, 24, 0, 16,
                    22, 23, 0,
                ],
            ),
            (
                -13.0,
                [
                    6, 2, 3, 4, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 22, 22,
                    23, 24, 20,
                ],
            ),
        ];
        for (degrees, expected) in cases {
            let mut square: Vec<u8> = (1..=25).flat_map(|value| [value; 3]).collect();
            rotate(&mut square, 5, degrees, &mut Vec::new());
            let found: Vec<u8> = square.chunks(3).map(|pixel| pixel[0]).collect();
            assert_eq!(found, expected, "{degrees} degrees");
        }
    }
}
