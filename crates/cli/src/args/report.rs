//! What can be typed behind `lodestone report` and `lodestone serve`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Result, ensure};

use clap::{Args, ValueEnum};
use lodestone_eval::Bytes;
use lodestone_sampling::ClusterCount;

use super::DeviceArgument;
use super::clusters::cluster_count;

#[derive(Debug, Args)]
#[command(after_help = "\
The page holds everything: photographs, script, numbers. It opens without a network and can be sent to others.

Examples:
  lodestone report runs/first
  lodestone report embeddings.npy -o page.html
  lodestone report photographs --model googlenet-1378be20.pth
  lodestone report embeddings.npy --labels labels.csv --map pca --pictures 50000")]
pub(crate) struct ReportArguments {
    #[command(flatten)]
    pub(crate) page: PageArguments,
    /// The page; report.html in the run folder by default, or the name of the embeddings or of the photographs with .html.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Writes over a file that is there and is no such page.
    #[arg(long)]
    pub(crate) force: bool,
}

/// What a page is made of.
#[derive(Debug, Args)]
pub(crate) struct PageArguments {
    /// Folder of a finished run, embeddings of any program in a form that `embed` writes, such as a .npy with labels in the .csv
    /// beside it, or with --model a folder of photographs.
    #[arg(value_name = "RUN|EMBEDDINGS|PHOTOGRAPHS")]
    pub(crate) source: PathBuf,
    /// Labels of the embeddings: a .csv with the column `label` or `class_name`, and `path` for the photographs.
    #[arg(long, value_name = "FILE")]
    pub(crate) labels: Option<PathBuf>,
    /// The model, if not the one that the run ended with: a run folder, a model file, or published weights.
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Option<PathBuf>,
    /// Folder of the data set; overrides the run file's.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,
    /// How the map is drawn.
    #[arg(long, value_name = "HOW", default_value = "neighbours")]
    pub(crate) map: LayoutName,
    /// Most photographs on the map; evenly taken if there are more.
    #[arg(long, value_name = "N", default_value_t = 50_000)]
    pub(crate) points: usize,
    /// Most photographs that the page shows under the mouse; 10000 take about 10 MB.
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    pub(crate) pictures: usize,
    /// Clusters in each class of an embedding file, or auto; those of a run are as its run file says.
    #[arg(long, value_name = "N|auto", value_parser = cluster_count, default_value = "3")]
    pub(crate) clusters: ClusterCount,
    /// Seed of the map, and of the clusters of an embedding file.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) device: DeviceArgument,
}

/// How a map is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LayoutName {
    /// Neighbours together, others apart
    Neighbours,
    /// The two directions of largest variance
    Pca,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Shows the page of `report` with a field for photographs, which are looked up and not kept. Only this machine can reach it unless
--address says otherwise; nothing can be changed through it and no file of the machine read but what the page shows.

Examples:
  lodestone serve runs/first
  lodestone serve photographs --model googlenet-1378be20.pth
  lodestone serve embeddings.npy --model runs/first --port 9000
  lodestone serve runs/first --address 0.0.0.0:80")]
pub(crate) struct ServeArguments {
    #[command(flatten)]
    pub(crate) page: PageArguments,
    /// The address to listen on, with or without a port; 0.0.0.0 lets other machines in.
    #[arg(long, value_name = "HOST[:PORT]", default_value = "127.0.0.1")]
    pub(crate) address: Address,
    /// The port, if --address has none; 0 takes a free one [default: 8017].
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Option<u16>,
    /// Largest photograph that is taken.
    #[arg(long, value_name = "SIZE", default_value = "20MB")]
    pub(crate) largest: Bytes,
    /// Photographs that an answer names.
    #[arg(long, short = 'k', value_name = "K", default_value_t = 8)]
    pub(crate) nearest: usize,
    /// Share of known ones among those not called unknown, if as many unknown as known photographs come.
    #[arg(long, value_name = "P", default_value_t = 0.95)]
    pub(crate) precision: f64,
}

/// Where to listen: an address or the name of a machine, and perhaps a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    host: String,
    port: Option<u16>,
}

impl Address {
    /// The port where none is given.
    const PORT: u16 = 8017;

    /// Host and port, which `port` may give too.
    ///
    /// # Errors
    /// If both give one and they differ.
    pub(crate) fn with_port(&self, port: Option<u16>) -> Result<(String, u16)> {
        if let (Some(own), Some(port)) = (self.port, port) {
            ensure!(
                own == port,
                "--address has the port {own} and --port is {port}: give one of them"
            );
        }
        let port = self.port.or(port).unwrap_or(Self::PORT);
        Ok((self.host.clone(), port))
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let alone = |host: &str| Self {
            host: host.to_owned(),
            port: None,
        };
        if let Ok(both) = text.parse::<SocketAddr>() {
            return Ok(Self {
                port: Some(both.port()),
                ..alone(&both.ip().to_string())
            });
        }
        if text.parse::<IpAddr>().is_ok() {
            return Ok(alone(text));
        }
        let (host, port) = match text.rsplit_once(':') {
            None => (text, None),
            Some((host, port)) => {
                let wrong = |_| format!("{port:?} is no port, which is a number up to 65535");
                (host, Some(port.parse().map_err(wrong)?))
            }
        };
        match host.is_empty() || host.contains(':') {
            true => Err("expected HOST or HOST:PORT, such as 127.0.0.1:8017".to_owned()),
            false => Ok(Self {
                port,
                ..alone(host)
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_port_of_its_own_or_that_of_the_option() {
        for (text, port, expected) in [
            ("127.0.0.1", None, ("127.0.0.1", 8017)),
            ("0.0.0.0:80", None, ("0.0.0.0", 80)),
            ("::1", Some(9000), ("::1", 9000)),
            ("[::1]:90", Some(90), ("::1", 90)),
            ("localhost:0", None, ("localhost", 0)),
            ("localhost", Some(7), ("localhost", 7)),
        ] {
            let address: Address = text.parse().unwrap();
            let (host, given) = address.with_port(port).unwrap();
            assert_eq!((host.as_str(), given), expected, "{text}");
        }
        for text in ["", ":80", "localhost:http", "localhost:70000", "a:b:1"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
        let address: Address = "localhost:1".parse().unwrap();
        let error = address.with_port(Some(2)).unwrap_err().to_string();
        assert!(error.contains("port 1 and --port is 2"), "{error}");
    }
}
