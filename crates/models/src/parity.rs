//! Agreement with the published networks, number by number.

use std::path::PathBuf;

use burn::tensor::Tensor;

mod bvlc;
#[path = "../../../tests/close.rs"]
mod close;
mod fill;
mod resnet;
mod torchvision;

/// A file that may not be in the repository, as the weights and photographs of others; tests that need it pass with a message
/// where it is absent.
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

fn argmax(values: &[f32]) -> usize {
    (0..values.len()).fold(0, |best, i| if values[i] > values[best] { i } else { best })
}

fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}
