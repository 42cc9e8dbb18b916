//! What can be typed behind `lodestone merge`.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
#[command(after_help = "\
The ending of the file decides its form, as for `lodestone embed`: what `embed` would have written without --shard, to the last bit.

A part that is there twice or missing, or is one of other photographs or of another model, is refused.

Examples:
  lodestone merge part-1.npy part-2.npy part-3.npy -o embeddings.npy
  lodestone merge embeddings.npy -o embeddings.parquet")]
pub(crate) struct MergeArguments {
    /// Embeddings, in any form that `embed` writes. Shards of `embed` say which part they are; others are taken in the order given.
    #[arg(value_name = "FILE", required = true)]
    pub(crate) parts: Vec<PathBuf>,
    /// The file of all embeddings.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Writes over a file that is there and is no such embeddings.
    #[arg(long)]
    pub(crate) force: bool,
}
