//! Whether there is an NVIDIA card to compute on, asked before burn does, which would panic.

use std::panic::{catch_unwind, set_hook, take_hook};

use anyhow::{Context, Result, bail, ensure};
use cudarc::driver::CudaContext;

/// Checks that card `index` is there.
///
/// # Errors
/// Without NVIDIA's driver, if it answers with an error, or if there are fewer cards.
pub(super) fn check(index: usize) -> Result<()> {
    // The library is looked for when it is first needed, and a missing one is a panic there; its words name a dozen files.
    let hook = take_hook();
    set_hook(Box::new(|_| {}));
    let asked = catch_unwind(CudaContext::device_count);
    set_hook(hook);
    let Ok(counted) = asked else {
        bail!("device `cuda`: libcuda.so.1 cannot be loaded, which comes with NVIDIA's driver");
    };
    let count = counted.context("device `cuda`: NVIDIA's driver does not answer")?;
    ensure!(
        usize::try_from(count).is_ok_and(|count| index < count),
        "device `cuda:{index}`: number of cards is {count}, and they are counted from 0"
    );
    Ok(())
}
