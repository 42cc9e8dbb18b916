//! `remote:ws://HOST:PORT`: a device of another process, reached through burn-remote.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// `HOST:PORT` of a `lodestone serve-device`, shown with the scheme in front.
///
/// It has no room for a name and password as other URLs do, so that it may be printed and written into `run.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address(String);

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let authority = text
            .strip_prefix("ws://")
            .filter(|authority| is_host_and_port(authority))
            .ok_or_else(|| format!("`{text}` is not ws://HOST:PORT, as serve-device prints it"))?;
        Ok(Self(authority.to_owned()))
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self(address.to_string())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ws://{}", self.0)
    }
}

/// burn takes whatever it is given for an address and fails later, or drops the part that it does not know.
fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let name = !host.is_empty()
        && host
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
    let number = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .is_some_and(|host| host.parse::<Ipv6Addr>().is_ok());
    (name || number) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(feature = "remote")]
impl Address {
    /// Opens a session; a server that was started a moment ago is waited for.
    pub(super) fn connect(&self, token: String) -> anyhow::Result<burn::tensor::Device> {
        use anyhow::{Context as _, anyhow};
        use burn::remote::{ConnectError, RemoteHost};
        use burn::tensor::Device;

        let host = RemoteHost::websocket(&self.to_string()).with_credential(token);
        match Device::remote_options(&host).init() {
            Err(ConnectError::Unauthorized) => Err(anyhow!(
                "device `remote:{self}` refused the token; it must be the one that serve-device was started with"
            )),
            opened => opened.with_context(|| format!("cannot use device `remote:{self}`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_host_and_port_is_refused() {
        for text in [
            "",
            "127.0.0.1:3000",
            "wss://127.0.0.1:3000",
            "http://127.0.0.1:3000",
            "ws://",
            "ws://127.0.0.1",
            "ws://:3000",
            "ws://127.0.0.1:0",
            "ws://127.0.0.1:70000",
            "ws://127.0.0.1:3000/session",
            "ws://name:secret@127.0.0.1:3000",
            "ws://::1:3000",
            "ws://[gpu]:3000",
        ] {
            let error = text.parse::<Address>().unwrap_err();
            assert!(error.contains("is not ws://HOST:PORT"), "{error}");
        }
    }

    #[test]
    fn what_is_printed_for_a_socket_is_read_again() {
        for socket in ["127.0.0.1:3000", "[::1]:3000"] {
            let address = Address::from(socket.parse::<SocketAddr>().unwrap());
            assert_eq!(address.to_string().parse::<Address>(), Ok(address));
        }
    }
}
