//! What can be typed behind `lodestone serve-device`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::DeviceArgument;

#[derive(Debug, Args)]
#[command(after_help = "\
The first line that is printed is what another lodestone takes behind --device; it needs the same token, in LODESTONE_TOKEN or in a
file that LODESTONE_TOKEN_FILE names. A log follows, of which RUST_LOG=warn keeps less. Ctrl-C ends it. Start one for each client: all
clients of one share its memory and its random numbers.

Nothing is encrypted, the token included: leave --bind on this machine and come through an SSH tunnel.

Examples:
  openssl rand -hex 16 > token
  lodestone serve-device --device cuda --token-file token
  ssh -L 3000:127.0.0.1:3000 gpu lodestone serve-device --device cuda --token-file token --until-stdin-closes
  LODESTONE_TOKEN_FILE=token lodestone train photographs --device remote:ws://127.0.0.1:3000")]
pub(crate) struct ServeDeviceArguments {
    #[command(flatten)]
    pub(crate) device: DeviceArgument,
    /// The address to listen on; port 0 takes a free one, 0.0.0.0 lets other machines in.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:3000")]
    pub(crate) bind: SocketAddr,
    /// File with the token that clients must have; overrides LODESTONE_TOKEN and LODESTONE_TOKEN_FILE.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Ends when standard input does, as it does when the connection of ssh or the program that started this one is gone.
    #[arg(long)]
    pub(crate) until_stdin_closes: bool,
}
