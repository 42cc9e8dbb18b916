//! `lodestone serve`: the page of `report` with a field for photographs, on this machine only unless told otherwise.
//!
//! Two things are answered: `GET /`, the page, which is made before anyone asks, and `POST /search`, whose body is a photograph.
//! No path reaches the file system, nothing that is sent is kept, and what was not asked for by the page itself is refused.

mod server;
mod site;

use std::net::TcpListener;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use lodestone_eval::Rows;
use lodestone_gallery::{Entry, Gallery, Settings};
use tokio::sync::watch;

use self::server::Limits;
use self::site::Site;
use crate::args::ServeArguments;
use crate::commands::opened::Opened;
use crate::commands::report::{Gathered, check_run};
use crate::progress::Progress;

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
        (None, true) => {
            check_run(&page.source)?;
            &page.source
        }
        (None, false) => anyhow::bail!(
            "{} holds embeddings and no model: say with --model what photographs are to be embedded with",
            page.source.display()
        ),
    };
    // Told before photographs are embedded.
    let asked = arguments.address.with_port(arguments.port)?;
    let listener = TcpListener::bind((asked.0.as_str(), asked.1)).with_context(|| {
        format!(
            "cannot listen on {}:{}; another port may be free",
            asked.0, asked.1
        )
    })?;
    let address = listener.local_addr()?;
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
    let searched = Searched {
        gallery: gallery(&gathered)?,
        embedding: opened.size(),
        opened: Mutex::new(opened),
        nearest: arguments.nearest,
        precision: arguments.precision,
    };
    let site = Site {
        page: gathered.page(page, progress)?.served_html().into(),
        look_up: Box::new(move |bytes| searched.look_up(bytes)),
        anyone: !address.ip().is_loopback(),
    };
    let stop = on_interrupt()?;
    outln!("http://{address}/")?;
    progress.note("open it in a browser; Ctrl-C ends it");
    server::serve(listener, site, Limits::new(arguments.largest.0), stop)?;
    Ok(())
}

/// Changes at the first Ctrl-C or SIGTERM; a second one ends the program at once.
fn on_interrupt() -> Result<watch::Receiver<bool>> {
    let (stop, stopped) = watch::channel(false);
    ctrlc::set_handler(move || {
        if stop.send_replace(true) {
            std::process::exit(130);
        }
    })
    .context("cannot catch Ctrl-C")?;
    Ok(stopped)
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

/// What a photograph is looked up in.
struct Searched {
    gallery: Gallery,
    /// Photographs are embedded one after the other, each by all cores.
    opened: Mutex<Opened>,
    /// Values of an embedding.
    embedding: usize,
    nearest: usize,
    precision: f64,
}

impl Searched {
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
