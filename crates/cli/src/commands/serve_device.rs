//! `lodestone serve-device`: a device of this machine for another process, which may run on another machine.
//!
//! All of it is burn-remote's: operations and tensors go over one WebSocket, and only those who present the token are served.

use std::io::stdin;
use std::net::TcpListener;

use anyhow::{Context, Result, ensure};
use burn::tensor::Device;

use crate::args::ServeDeviceArguments;
use crate::device::{DeviceName, token};

const NOT_BUILT_IN: &str = "serve-device is not built in; build with --features remote";

/// Runs the command, until it is interrupted.
pub(crate) fn run(arguments: &ServeDeviceArguments) -> Result<()> {
    ensure!(cfg!(feature = "remote"), NOT_BUILT_IN);
    let device = &arguments.device.device;
    ensure!(
        matches!(device, DeviceName::Local(_)),
        "--device is {device}, must be one of this machine"
    );
    let token = token(arguments.token_file.as_deref())?;
    let device = device.open()?;
    let asked = arguments.bind;
    // Bound here and not by burn, which listens on every interface.
    let listener = TcpListener::bind(asked)
        .with_context(|| format!("cannot listen on {asked}; another --bind may be free"))?;
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() {
        errln!(
            "warning: other machines reach {address} and nothing is encrypted, the token included; use an SSH tunnel to 127.0.0.1"
        );
    }
    // burn's log goes to standard output as well: the line that programs read is the first. The socket listens already, so
    // whoever reads it may connect.
    outln!("{}", DeviceName::Remote(address.into()))?;
    if arguments.until_stdin_closes {
        end_with_stdin();
    }
    serve(device, token, listener)
}

/// The system closes a pipe when the process at its other end is gone, even one that was killed and could tell nobody.
fn end_with_stdin() {
    std::thread::spawn(|| {
        // Neither what it says nor how it ends matters.
        let _ = std::io::copy(&mut stdin().lock(), &mut std::io::sink());
        std::process::exit(0);
    });
}

/// Burn catches Ctrl-C and SIGTERM by itself and returns.
#[cfg(feature = "remote")]
fn serve(device: Device, token: String, listener: TcpListener) -> Result<()> {
    use burn::server::{RemoteServer, TokenAuthorizer, WebSocketTransport};

    let authorizer = TokenAuthorizer::new(token)?;
    RemoteServer::new([device])
        .with_authorizer(authorizer)
        .serve(WebSocketTransport::from_listener(listener))?;
    Ok(())
}

#[cfg(not(feature = "remote"))]
fn serve(_device: Device, _token: String, _listener: TcpListener) -> Result<()> {
    anyhow::bail!(NOT_BUILT_IN)
}
