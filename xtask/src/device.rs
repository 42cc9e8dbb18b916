//! `cargo xtask check --device NAME,..`: the tests of `tests/devices` on another device than the CPU.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail, ensure};

use crate::process::{cargo, run};

/// Where Vulkan's loader looks for drivers, beside what the environment names.
const DRIVER_FOLDERS: [&str; 2] = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"];
/// Where a system keeps its shared libraries.
const LIBRARY_FOLDERS: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
];

/// Builds the binary with the features of the devices, which are separated by commas, and runs the suite on each. Installs nothing:
/// what is missing is an error that names it.
pub(crate) fn check(devices: &str) -> Result<()> {
    for device in devices.split(',') {
        is_there(device)?;
    }
    for device in devices.split(',') {
        suite(device, devices)?;
    }
    Ok(())
}

fn is_there(device: &str) -> Result<()> {
    match device {
        "wgpu" | "vulkan" => {
            ensure!(
                library("libvulkan.so.1"),
                "libvulkan.so.1 is missing, Vulkan's loader; on Debian it is in package libvulkan1"
            );
            ensure!(
                has_vulkan_driver(),
                "no Vulkan driver in {}; Mesa's, one of which computes on the processor, are in Debian's package \
                 mesa-vulkan-drivers",
                DRIVER_FOLDERS.join(" or ")
            );
        }
        "cuda" => ensure!(
            library("libcuda.so.1"),
            "libcuda.so.1 is missing, which comes with NVIDIA's driver"
        ),
        // The suite starts its own server, on this machine's processor.
        "remote" => {}
        other => bail!("--device is {other}, must be wgpu, vulkan, cuda or remote"),
    }
    Ok(())
}

/// Runs the suite on one of the devices that are built in.
fn suite(device: &str, built_in: &str) -> Result<()> {
    outln!("── {device}")?;
    if device != "remote" {
        outln!(
            "kernels are compiled when they first run: the first test of each takes its minutes"
        )?;
    }
    let start = Instant::now();
    let mut tests = cargo(&[
        "test",
        "--profile",
        "device",
        "--package",
        "lodestone-cli",
        "--features",
        built_in,
        "--test",
        "devices",
        "--",
        "--show-output",
        // One test at a time: they share the device.
        "--test-threads=1",
    ]);
    tests.env("LODESTONE_DEVICE", device);
    if std::env::var_os("CUBECL_AUTOTUNE_LEVEL").is_none() {
        // On a software device, trying kernels out costs more than the best of them saves.
        tests.env("CUBECL_AUTOTUNE_LEVEL", "minimal");
    }
    run(&mut tests)?;
    outln!("   {device}: {:.0} s", start.elapsed().as_secs_f64())
}

fn library(name: &str) -> bool {
    let searched = std::env::var("LD_LIBRARY_PATH").unwrap_or_default();
    let named = searched.split(':').filter(|folder| !folder.is_empty());
    named
        .chain(LIBRARY_FOLDERS)
        .any(|folder| Path::new(folder).join(name).exists())
}

fn has_vulkan_driver() -> bool {
    let named = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"]
        .iter()
        .any(|name| std::env::var_os(name).is_some());
    named
        || DRIVER_FOLDERS.iter().any(|folder| {
            std::fs::read_dir(folder).is_ok_and(|files| {
                files
                    .filter_map(Result::ok)
                    .any(|file| file.path().extension().is_some_and(|end| end == "json"))
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_device_is_refused_by_name() {
        let error = check("tpu").unwrap_err().to_string();
        assert!(error.contains("--device is tpu"), "{error}");
    }
}
