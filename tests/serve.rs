//! `lodestone serve` as a process: what clients of ill will leave behind, and how it ends.
//!
//! Limits of time are tested beside the server, with shorter ones.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use burn::tensor::Device;
use image::RgbImage;
use lodestone_models::{Auxiliary, ClassifierConfig, ConvNetConfig, NetworkConfig};

use crate::lodestone::{lodestone, succeeds};

/// A server of sixteen photographs on a port of its own.
struct Server {
    child: Child,
    address: String,
    photograph: Vec<u8>,
    _folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let in_folder = |name: &str| folder.path().join(name);
        let config = ClassifierConfig {
            network: NetworkConfig::ConvNet(ConvNetConfig::default()),
            classes: 2,
            dropout: 0.0,
            auxiliary: Auxiliary::Without,
        };
        let weights = in_folder("weights.safetensors");
        let classifier = config.init(1, &Device::flex());
        classifier
            .write_weights(&weights, &Default::default())
            .unwrap();
        let model = in_folder("model.safetensors");
        let convert = ["weights", "convert", text(&weights), text(&model)];
        let convert = [&convert[..], &["--network", "convnet"]].concat();
        succeeds(&mut lodestone(folder.path(), &convert));
        let photographs = in_folder("photographs");
        for class in ["dark", "light"] {
            fs::create_dir_all(photographs.join(class)).unwrap();
            for number in 0..8 {
                let level = if class == "dark" { 20 } else { 200 };
                RgbImage::from_fn(40, 30, |x, _| image::Rgb([level, (5 * x) as u8, number]))
                    .save(photographs.join(class).join(format!("{number}.png")))
                    .unwrap();
            }
        }
        let embeddings = in_folder("embeddings.npy");
        let embed = [
            "embed",
            text(&model),
            text(&photographs),
            "-o",
            text(&embeddings),
        ];
        succeeds(&mut lodestone(folder.path(), &embed));
        let serve = [
            "-q",
            "serve",
            text(&embeddings),
            "--model",
            text(&model),
            "--port",
            "0",
        ];
        let mut child = lodestone(folder.path(), &serve)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let printed = child.stdout.as_mut().unwrap();
        BufReader::new(printed).read_line(&mut line).unwrap();
        let address = line.strip_prefix("http://").unwrap();
        Self {
            address: address[..address.find('/').unwrap()].to_owned(),
            child,
            photograph: fs::read(photographs.join("dark/0.png")).unwrap(),
            _folder: folder,
        }
    }

    fn send(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let patience = Some(Duration::from_secs(30));
        stream.set_read_timeout(patience).unwrap();
        stream.write_all(bytes).unwrap();
        stream
    }

    /// What is answered, head and body.
    fn ask(&self, method: &str, target: &str, body: &[u8]) -> String {
        let length = body.len();
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n",
            self.address
        );
        let mut answer = String::new();
        let mut stream = self.send(&[head.as_bytes(), body].concat());
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn search(&self) -> String {
        self.ask("POST", "/search", &self.photograph)
    }

    fn descriptors(&self) -> usize {
        let folder = format!("/proc/{}/fd", self.child.id());
        fs::read_dir(folder).unwrap().count()
    }

    /// Memory of the process in kB.
    fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.unwrap()
            .trim()
            .strip_suffix(" kB")
            .unwrap()
            .parse()
            .unwrap()
    }

    /// Waits until no connection is open that was not open at `before`.
    fn settles_at(&self, before: usize) {
        let start = Instant::now();
        while self.descriptors() > before {
            let open = self.descriptors();
            assert!(
                start.elapsed() < Duration::from_secs(15),
                "{open} are open, {before} were"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn announced(bytes: u64) -> Vec<u8> {
    let head = "POST /search HTTP/1.1\r\nHost: localhost\r\nContent-Length: ";
    format!("{head}{bytes}\r\n\r\n").into_bytes()
}

#[test]
fn clients_of_ill_will_leave_descriptors_and_memory_as_they_were() {
    let server = Server::start();
    assert!(server.search().contains("\"dark\""));
    let (descriptors, memory) = (server.descriptors(), server.memory());

    // Bodies of 5 GiB, announced and never sent, by clients that hear the refusal and by others.
    for number in 0..400 {
        let mut stream = server.send(&announced(5 << 30));
        if number % 2 == 0 {
            let mut start = [0; 12];
            stream.read_exact(&mut start).unwrap();
            assert_eq!(&start, b"HTTP/1.1 413");
        }
    }
    server.settles_at(descriptors);

    // Uploads and heads that stop half way keep nobody else waiting, and are forgotten with those who sent them.
    let half_an_upload = [&announced(9000)[..], &[0; 4000]].concat();
    let half_a_head = b"GET / HTTP/1.1\r\nHost: loc";
    for _ in 0..2 {
        let stalled = |bytes: &[u8]| (0..60).map(|_| server.send(bytes)).collect::<Vec<_>>();
        let held = [stalled(&half_an_upload), stalled(half_a_head)];
        assert!(server.ask("GET", "/", b"").starts_with("HTTP/1.1 200"));
        assert!(server.search().contains("\"dark\""));
        drop(held);
        server.settles_at(descriptors);
    }

    // Clients that go while they are answered: a program that writes to them must not end by it.
    let page = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for _ in 0..50 {
        server.send(&page.repeat(3));
    }
    server.settles_at(descriptors);

    assert!(server.search().contains("\"dark\""));
    let grown = server.memory().saturating_sub(memory);
    assert!(grown < 32 * 1024, "{grown} kB more than {memory} kB");
}

#[test]
fn the_page_is_got_by_head_and_with_a_query_and_ctrl_c_ends_the_server() {
    let mut server = Server::start();
    let page = server.ask("GET", "/?x=1", b"");
    let (head, html) = page.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    let only_head = server.ask("HEAD", "/", b"");
    let length = format!("content-length: {}\r\n", html.len());
    assert!(
        only_head.contains(&length) && only_head.ends_with("\r\n\r\n"),
        "{only_head}"
    );
    assert!(server.ask("GET", "/x", b"").starts_with("HTTP/1.1 404"));
    assert!(
        server
            .ask("HEAD", "/search", b"")
            .starts_with("HTTP/1.1 405")
    );

    let idle = server.send(b"");
    let id = server.child.id().to_string();
    succeeds(Command::new("kill").args(["-INT", &id]));
    let start = Instant::now();
    let ended = server.child.wait().unwrap();
    assert!(ended.success(), "{ended}");
    assert!(start.elapsed() < Duration::from_secs(8));
    drop(idle);
}
