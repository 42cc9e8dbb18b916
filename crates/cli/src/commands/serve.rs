//! `lodestone serve`: the page of `report` with a field for photographs, on this machine only unless told otherwise.
//!
//! Two things are answered: `GET /`, the page, which is made before anyone asks, and `POST /search`, whose body is a photograph.
//! No path reaches the file system, nothing that is sent is kept, and what was not asked for by the page itself is refused.

use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use lodestone_eval::Rows;
use lodestone_gallery::{Entry, Gallery, Settings};
use tiny_http::{Header, Method, Request, Response, Server};

use crate::args::ServeArguments;
use crate::commands::opened::Opened;
use crate::commands::report::Gathered;
use crate::progress::Progress;

/// An announced body of more bytes is nobody's photograph.
const MOST_ANNOUNCED: u64 = 1 << 30;

/// Requests that are answered at once: a photograph that is slow to come keeps one of these, and nobody else, waiting.
const AT_ONCE: usize = 16;

/// Runs the command, until it is interrupted.
pub(crate) fn run(arguments: &ServeArguments, progress: &mut Progress) -> Result<()> {
    ensure!(arguments.nearest > 0, "-k is 0, must be at least 1");
    ensure!(
        (0.0..=1.0).contains(&arguments.precision),
        "--precision is {}, must be between 0 and 1",
        arguments.precision
    );
    let page = &arguments.page;
    let model = match (&page.model, page.source.is_dir()) {
        (Some(model), _) => model,
        (None, true) => &page.source,
        (None, false) => anyhow::bail!(
            "{} holds embeddings and no model: say with --model what photographs are to be embedded with",
            page.source.display()
        ),
    };
    let opened = Opened::read(model, &page.device.device)?;
    let gathered = Gathered::read(page, progress)?;
    ensure!(
        opened.size() == gathered.queries.dim,
        "{} makes embeddings of {} values, {} has {}",
        model.display(),
        opened.size(),
        page.source.display(),
        gathered.queries.dim
    );
    let site = Site {
        html: gathered.page(page, progress)?.served_html(),
        gallery: gallery(&gathered)?,
        embedding: opened.size(),
        opened: Mutex::new(opened),
        largest: arguments.largest.0,
        nearest: arguments.nearest,
        precision: arguments.precision,
        anyone: !arguments.address.is_loopback(),
    };
    let address = SocketAddr::new(arguments.address, arguments.port);
    let server = Server::http(address)
        .map_err(|error| anyhow::anyhow!("{error}"))
        .with_context(|| format!("cannot listen on {address}; another --port may be free"))?;
    outln!(
        "http://{}/ shows the page; Ctrl-C ends it",
        server.server_addr()
    )?;
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Ok(request) = server.recv() {
                    // One that cannot be answered costs none of those who answer.
                    let _ = catch_unwind(AssertUnwindSafe(|| site.answer(request)));
                }
                // Nobody listens any more: each wakes the next, and the command ends.
                server.unblock();
            });
        }
    });
    Ok(())
}

/// The photographs that are found, with the classes of the page.
fn gallery(gathered: &Gathered) -> Result<Gallery> {
    let found = gathered.found();
    let entry = |row: usize| Entry {
        // The number keeps apart what is called alike, so that rows stay those of the page.
        path: format!("{row}\0{}", found.names[row]),
        class: gathered.class_name(found.labels[row]).to_owned(),
    };
    let entries: Vec<Entry> = (0..found.labels.len()).map(entry).collect();
    let mut gallery = Gallery::new(found.dim, Settings::default());
    gallery.add(found.embeddings(), &entries)?;
    Ok(gallery)
}

/// What is served.
struct Site {
    html: String,
    gallery: Gallery,
    /// Photographs are embedded one after the other, each by all cores.
    opened: Mutex<Opened>,
    /// Values of an embedding.
    embedding: usize,
    /// Bytes of a photograph.
    largest: u64,
    nearest: usize,
    precision: f64,
    /// Whether other machines may ask.
    anyone: bool,
}

/// A status and a text.
type Refusal = (u16, String);

impl Site {
    fn answer(&self, mut request: Request) {
        let (status, kind, body) = match self.body(&mut request) {
            Ok((kind, body)) => (200, kind, body),
            Err((status, text)) => (status, "text/plain; charset=utf-8", text),
        };
        let mut response = Response::from_string(body).with_status_code(status);
        for (name, value) in [
            ("Content-Type", kind),
            ("X-Content-Type-Options", "nosniff"),
            ("Cache-Control", "no-store"),
            ("Referrer-Policy", "no-referrer"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            // Not inside the page of another.
            ("X-Frame-Options", "DENY"),
        ] {
            if let Ok(header) = Header::from_bytes(name, value) {
                response.add_header(header);
            }
        }
        if request.body_length().unwrap_or(0) as u64 > self.largest.max(MOST_ANNOUNCED) {
            // What is announced and was not read is read by the server before the connection can go, into memory of that size.
            // The connection is left as it is instead.
            std::mem::forget(request.upgrade("close", response));
            return;
        }
        // Whoever asked may be gone.
        let _ = request.respond(response);
    }

    fn body(&self, request: &mut Request) -> Result<(&'static str, String), Refusal> {
        self.check_host(request)?;
        match (request.method(), request.url()) {
            (Method::Get, "/" | "/index.html") => {
                Ok(("text/html; charset=utf-8", self.html.clone()))
            }
            (Method::Post, "/search") => Ok(("application/json", self.search(request)?)),
            (_, "/" | "/index.html" | "/search") => Err((405, "not that way".into())),
            _ => Err((404, "there is nothing here but / and /search".into())),
        }
    }

    /// A page from elsewhere could ask by a name of its own that leads here; only names of this machine are answered.
    fn check_host(&self, request: &Request) -> Result<(), Refusal> {
        let field = |name: &'static str| {
            let mut headers = request.headers().iter();
            headers
                .find(|header| header.field.equiv(name))
                .map(|header| header.value.as_str())
        };
        let host = field("Host").unwrap_or_default();
        if !self.anyone && !is_this_machine(host) {
            return Err((403, format!("`{host}` is no name of this machine")));
        }
        match field("Origin") {
            Some(origin) if origin.split_once("://").map(|(_, rest)| rest) != Some(host) => {
                Err((403, format!("a page of `{origin}` may not ask")))
            }
            _ => Ok(()),
        }
    }

    fn search(&self, request: &mut Request) -> Result<String, Refusal> {
        let too_large = || (413, format!("a photograph may have {} bytes", self.largest));
        if request
            .body_length()
            .is_some_and(|length| length as u64 > self.largest)
        {
            return Err(too_large());
        }
        let mut bytes = Vec::new();
        let mut body = request.as_reader().take(self.largest + 1);
        body.read_to_end(&mut bytes)
            .map_err(|_| (400, "the photograph broke off".to_owned()))?;
        if bytes.len() as u64 > self.largest {
            return Err(too_large());
        }
        let wrong = |error: anyhow::Error| (400, format!("{error:#}"));
        self.look_up(&bytes).map_err(wrong)
    }

    fn look_up(&self, bytes: &[u8]) -> Result<String> {
        let embedding = {
            // A request that ended in a panic changed nothing of the model.
            let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
            opened.embed_bytes(bytes, Path::new("the photograph"))?
        };
        let rows = Rows::new(&embedding, self.embedding)?;
        let answers = self.gallery.search(rows, self.nearest, self.precision)?;
        let mut answer = answers.into_iter().next().context("no answer")?;
        for near in &mut answer.nearest {
            if let Some((_, name)) = near.path.split_once('\0') {
                near.path = name.to_owned();
            }
        }
        Ok(serde_json::to_string(&answer)?)
    }
}

/// `localhost`, or an address of the loopback, with any port.
fn is_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.chars().all(|c| c.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_its_names() {
        for host in [
            "localhost",
            "LOCALHOST:80",
            "127.0.0.1:8017",
            "127.8.8.8",
            "[::1]:9",
            "[::1]",
        ] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "127.0.0.1.evil.example:80",
            "10.0.0.1",
            "localhost.evil:80",
        ] {
            assert!(!is_this_machine(host), "{host}");
        }
    }
}
