//! From the components of a line to RGB.

/// What the components are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    Grey,
    Rgb,
    YCbCr,
    /// Stored as 255 minus ink, as Adobe does.
    Cmyk,
    /// The same, with three of the inks as YCbCr.
    Ycck,
}

/// Converts a line; the components that the colour does not have are not looked at.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(super) fn convert(colour: Colour, [a, b, c, d]: [&[u8]; 4], line: &mut [u8]) {
    let pixels = line.as_chunks_mut::<3>().0;
    let count = pixels.len();
    match colour {
        Colour::Grey => {
            for (pixel, &value) in pixels.iter_mut().zip(a) {
                *pixel = [value; 3];
            }
        }
        Colour::Rgb => {
            for n in 0..count {
                pixels[n] = [a[n], b[n], c[n]];
            }
        }
        Colour::YCbCr => {
            let (a, b, c) = (&a[..count], &b[..count], &c[..count]);
            for n in 0..count {
                pixels[n] = from_ycbcr(a[n], b[n], c[n]);
            }
        }
        Colour::Cmyk => {
            for n in 0..count {
                pixels[n] = [a[n], b[n], c[n]].map(|light| through(light, d[n]));
            }
        }
        Colour::Ycck => {
            for n in 0..count {
                // What stands for RGB here is the ink.
                let inks = from_ycbcr(a[n], b[n], c[n]);
                pixels[n] = inks.map(|ink| through(255 - ink, d[n]));
            }
        }
    }
}

/// JFIF's conversion with libjpeg's constants, 16 bits behind the point.
#[cfg_attr(not(debug_assertions), inline(always))]
fn from_ycbcr(luma: u8, blue: u8, red: u8) -> [u8; 3] {
    const HALF: i32 = 1 << 15;
    let (y, b, r) = (i32::from(luma), i32::from(blue) - 128, i32::from(red) - 128);
    let level = |value: i32| value.clamp(0, 255) as u8;
    [
        level(y + ((91_881 * r + HALF) >> 16)),
        level(y + ((-22_554 * b - 46_802 * r + HALF) >> 16)),
        level(y + ((116_130 * b + HALF) >> 16)),
    ]
}

/// What black lets through of a colour: (255 - C)(255 - K) / 255, rounded as Pillow does.
fn through(light: u8, white: u8) -> u8 {
    let (ink, white) = (u32::from(255 - light), u32::from(white));
    let product = ink * white + 128;
    let held = ((product >> 8) + product) >> 8;
    white.saturating_sub(held) as u8
}
