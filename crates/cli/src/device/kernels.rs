//! Kernels outlive the process: what was compiled, and which kernel was the fastest for a shape, is kept in a folder. (What `wgpu`
//! hands to its driver, WGSL, is compiled there anew; what was chosen is kept.)
//!
//! A step of GoogLeNet asks for about a thousand kernels, most of them candidates for its products, and compiling them takes a core
//! minutes: without a folder every command would begin with that.

use burn::cubecl::config::cache::CacheConfig;
use burn::cubecl::config::{CubeClRuntimeConfig, RuntimeConfig};

use crate::commands::user_cache;

/// Keeps kernels of all devices in `kernels` of the user's cache. Other settings are those of cubecl's own file and variables.
/// Called before the first device is opened; later calls change nothing.
pub(super) fn keep() {
    let mut config = CubeClRuntimeConfig::from_current_dir().override_from_env();
    config.compilation.cache = true;
    if let Some(cache) = user_cache() {
        config.environment.path = CacheConfig::Directory(cache.join("kernels"));
    }
    // False once a device is open, whose settings are these.
    let _ = CubeClRuntimeConfig::try_set(config);
}
