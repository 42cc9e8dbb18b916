//! A `lodestone serve-device` of the binary under test, on the processor, for as long as this process.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use burn::remote::RemoteHost;
use burn::tensor::Device;

/// What the server is started with and its clients present.
pub(crate) const TOKEN: &str = "5f0c3ab1d2e94786";

/// A server, and its name as `--device` takes it.
struct Server {
    name: String,
    /// Holds the pipe to the server's standard input. A static is never dropped, and a test that fails or is killed cleans
    /// nothing up: but the system closes the pipe then, and the server ends with it.
    _process: Child,
}

impl Server {
    fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_lodestone"))
            .args([
                "serve-device",
                "--bind",
                "127.0.0.1:0",
                "--until-stdin-closes",
            ])
            .env("LODESTONE_TOKEN", TOKEN)
            // Nobody reads the log that follows the first line.
            .env("RUST_LOG", "off")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let name = line.trim_end().to_owned();
        assert!(
            name.starts_with("remote:ws://127.0.0.1:"),
            "serve-device printed {name:?}"
        );
        Self {
            name,
            _process: process,
        }
    }
}

/// Name of the server's device; the first call starts the server.
pub(crate) fn name() -> &'static str {
    static SERVER: OnceLock<Server> = OnceLock::new();
    &SERVER.get_or_init(Server::start).name
}

/// The server's device.
pub(crate) fn device() -> Device {
    let url = name().trim_start_matches("remote:");
    let host = RemoteHost::websocket(url).with_credential(TOKEN);
    Device::remote_options(&host).init().unwrap()
}
