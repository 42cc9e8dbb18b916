//! The convolutions of the networks, for tests and for the bench.

/// Input channels, input size, output channels, kernel, stride, padding.
pub(crate) type Layer = (usize, usize, usize, [usize; 2], usize, [usize; 2]);

/// The convolutions of GoogLeNet for images of 224 × 224, each shape once.
pub(crate) fn googlenet() -> Vec<Layer> {
    let mut layers: Vec<Layer> = vec![
        (3, 224, 64, [7, 7], 2, [3, 3]),
        (64, 56, 64, [1, 1], 1, [0, 0]),
        (64, 56, 192, [3, 3], 1, [1, 1]),
    ];
    let blocks = [
        (192, 28, [64, 96, 128, 16, 32, 32]),
        (256, 28, [128, 128, 192, 32, 96, 64]),
        (480, 14, [192, 96, 208, 16, 48, 64]),
        (512, 14, [160, 112, 224, 24, 64, 64]),
        (512, 14, [128, 128, 256, 24, 64, 64]),
        (512, 14, [112, 144, 288, 32, 64, 64]),
        (528, 14, [256, 160, 320, 32, 128, 128]),
        (832, 7, [256, 160, 320, 32, 128, 128]),
        (832, 7, [384, 192, 384, 48, 128, 128]),
    ];
    for (input, size, [one, three_in, three, five_in, five, pool]) in blocks {
        for output in [one, three_in, five_in, pool] {
            layers.push((input, size, output, [1, 1], 1, [0, 0]));
        }
        layers.push((three_in, size, three, [3, 3], 1, [1, 1]));
        layers.push((five_in, size, five, [5, 5], 1, [2, 2]));
        // The form with batch normalisation has a kernel of 3 in their place.
        layers.push((five_in, size, five, [3, 3], 1, [1, 1]));
    }
    layers
}

/// The convolutions of Inception V3 for images of 299 × 299, each shape once.
pub(crate) fn inception() -> Vec<Layer> {
    let mut layers: Vec<Layer> = vec![
        (3, 299, 32, [3, 3], 2, [0, 0]),
        (32, 149, 32, [3, 3], 1, [0, 0]),
        (32, 147, 64, [3, 3], 1, [1, 1]),
        (64, 73, 80, [1, 1], 1, [0, 0]),
        (80, 73, 192, [3, 3], 1, [0, 0]),
        (48, 35, 64, [5, 5], 1, [2, 2]),
        (64, 35, 96, [3, 3], 1, [1, 1]),
        (96, 35, 96, [3, 3], 1, [1, 1]),
        (288, 35, 384, [3, 3], 2, [0, 0]),
        (96, 35, 96, [3, 3], 2, [0, 0]),
        (192, 17, 320, [3, 3], 2, [0, 0]),
        (192, 17, 192, [3, 3], 2, [0, 0]),
        (448, 8, 384, [3, 3], 1, [1, 1]),
        (384, 8, 384, [1, 3], 1, [0, 1]),
        (384, 8, 384, [3, 1], 1, [1, 0]),
    ];
    for (input, outputs) in [
        (192, [64, 48, 32]),
        (256, [64, 48, 64]),
        (288, [64, 48, 64]),
    ] {
        layers.extend(outputs.map(|output| (input, 35, output, [1, 1], 1, [0, 0])));
    }
    for (input, output) in [(128, 128), (128, 192), (160, 160), (160, 192), (192, 192)] {
        layers.push((input, 17, output, [1, 7], 1, [0, 3]));
        layers.push((input, 17, output, [7, 1], 1, [3, 0]));
    }
    layers.extend([128, 160, 192].map(|output| (768, 17, output, [1, 1], 1, [0, 0])));
    for input in [1280, 2048] {
        let outputs = [320, 384, 448, 192];
        layers.extend(outputs.map(|output| (input, 8, output, [1, 1], 1, [0, 0])));
    }
    layers
}

/// The convolutions of ResNet-18, 34 and 50 for images of 224 × 224 behind the first, which GoogLeNet has too, each shape once.
pub(crate) fn resnet() -> Vec<Layer> {
    let mut layers: Vec<Layer> = vec![
        (64, 56, 64, [3, 3], 1, [1, 1]),
        (64, 56, 64, [1, 1], 1, [0, 0]),
        (64, 56, 256, [1, 1], 1, [0, 0]),
        (256, 56, 64, [1, 1], 1, [0, 0]),
    ];
    for (size, width) in [(56, 128), (28, 256), (14, 512)] {
        let (input, output, half) = (2 * width, 4 * width, size / 2);
        layers.extend([
            // The first block of ResNet-50 halves, then that of the others.
            (input, size, width, [1, 1], 1, [0, 0]),
            (width, size, width, [3, 3], 2, [1, 1]),
            (input, size, output, [1, 1], 2, [0, 0]),
            (width / 2, size, width, [3, 3], 2, [1, 1]),
            (width / 2, size, width, [1, 1], 2, [0, 0]),
            // All other blocks.
            (output, half, width, [1, 1], 1, [0, 0]),
            (width, half, width, [3, 3], 1, [1, 1]),
            (width, half, output, [1, 1], 1, [0, 0]),
        ]);
    }
    layers
}
