//! Agreement with the published networks, number by number.

use std::path::PathBuf;

use burn::tensor::Tensor;

mod bvlc;
mod fill;
mod resnet;
mod torchvision;

/// A file that lies beside the repository; tests that need it pass with a message where it is absent.
fn shared(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")).join(name);
    if path.exists() {
        return Some(path);
    }
    skipped(&format!("{} is absent", path.display()));
    None
}

/// Says why a test did not run.
#[cfg(test)]
#[allow(
    clippy::print_stderr,
    reason = "the reason must reach who runs the tests"
)]
pub(crate) fn skipped(reason: &str) {
    eprintln!("skipped: {reason}");
}

/// Fails with the largest difference if any value differs by more than `tolerance`, or is not finite.
fn assert_close(what: &str, got: &[f32], want: &[f32], tolerance: f32) {
    assert_eq!(got.len(), want.len(), "{what}");
    assert!(
        got.iter().all(|value| value.is_finite()),
        "{what} is not finite"
    );
    let apart: Vec<(usize, f32)> = got
        .iter()
        .zip(want)
        .map(|(got, want)| (got - want).abs())
        .enumerate()
        .filter(|&(_, apart)| apart > tolerance)
        .collect();
    let worst = apart.iter().map(|&(_, apart)| apart).fold(0.0, f32::max);
    assert!(
        apart.is_empty(),
        "{what}: {} of {} values differ, by {worst} at most, allowed is {tolerance}; at {:?}",
        apart.len(),
        got.len(),
        &apart[..apart.len().min(16)]
    );
}

fn argmax(values: &[f32]) -> usize {
    (0..values.len()).fold(0, |best, i| if values[i] > values[best] { i } else { best })
}

fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}
