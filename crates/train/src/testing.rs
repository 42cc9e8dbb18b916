//! What several tests need.

use std::path::Path;

use crate::config::run_config::RunConfig;
use crate::config::run_file;

/// A small network on fashion-mini with triplet loss, with `settings` on top.
pub(crate) fn small_config(settings: &[&str]) -> RunConfig {
    let text = "
        data = { set = { name = \"fashion-mini\" } }
        loss = { kind = \"triplet\" }
        sampler = { kind = \"per-class\", classes_per_batch = 3, images_per_class = 4 }
        train = { images = 96 }
        [model]
        network = { architecture = \"convnet\", image_channels = 1, width = 4 }
        [model.head]
        embedding_size = 6
        kind = \"linear\"
        normalise = false
        dropout = 0.0
        initialise = \"uniform\"
    ";
    let settings: Vec<String> = settings.iter().map(|&text| text.to_owned()).collect();
    let config: RunConfig = run_file::parse(text, Path::new("small.toml"), &settings).unwrap();
    config.validate().unwrap();
    config
}
