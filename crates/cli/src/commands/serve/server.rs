//! Connections, each with limits of time and size, so that nobody can take more than a place in the line.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::site::{Answer, Route, Site, plain};

/// Photographs that are looked up at once; the others wait. Bodies take the memory of so many of the largest ones at most.
const AT_ONCE: usize = 16;

/// Bytes that a connection reads or writes at a time.
const PIECE: usize = 64 * 1024;

/// What a client may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Bytes of a body.
    pub(super) largest: u64,
    /// Connections at once; later ones wait for one of these to end.
    pub(super) connections: u32,
    /// Until the head of a request is there, the first one or the next.
    pub(super) head: Duration,
    /// From the head to the end of the body.
    pub(super) body: Duration,
    /// How long what is sent of a refused body is taken and thrown away: who sends reads no answer before.
    pub(super) refused: Duration,
    /// Until a connection may only finish what it does.
    pub(super) connection: Duration,
    /// How long it may take for that.
    pub(super) last: Duration,
}

impl Limits {
    /// For bodies of `largest` bytes.
    pub(super) fn new(largest: u64) -> Self {
        Self {
            largest,
            connections: 256,
            head: Duration::from_secs(10),
            body: Duration::from_secs(60),
            refused: Duration::from_secs(5),
            connection: Duration::from_secs(300),
            last: Duration::from_secs(10),
        }
    }
}

/// Answers whoever comes to `listener`, until `stop` changes. Requests that are there by then are answered still.
///
/// # Errors
/// If the system refuses the listener.
pub(super) fn serve(
    listener: std::net::TcpListener,
    site: Site,
    limits: Limits,
    stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(AT_ONCE)
        .build()?;
    let memory = limits.largest.saturating_mul(AT_ONCE as u64);
    let memory = usize::try_from(memory).unwrap_or(usize::MAX);
    let server = Server {
        site,
        limits,
        memory: Arc::new(Semaphore::new(memory.min(Semaphore::MAX_PERMITS))),
    };
    let ended = runtime.block_on(accept(listener, Arc::new(server), stop));
    // A search that takes longer than those who asked may wait is not waited for.
    runtime.shutdown_background();
    ended
}

struct Server {
    site: Site,
    limits: Limits,
    /// Bytes that bodies may take together.
    memory: Arc<Semaphore>,
}

async fn accept(
    listener: std::net::TcpListener,
    server: Arc<Server>,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let Limits {
        connections, last, ..
    } = server.limits;
    let places = Arc::new(Semaphore::new(connections as usize));
    let stopped = stop.clone();
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        match tokio::select! { next = next => next, _ = stop.changed() => break } {
            (place, Ok((stream, _))) => {
                let (server, stopped) = (Arc::clone(&server), stopped.clone());
                tokio::spawn(async move {
                    let _place = place;
                    server.connection(stream, stopped).await;
                });
            }
            // No descriptor is left, or whoever came is gone again.
            (_, Err(_)) => sleep(Duration::from_millis(50)).await,
        }
    }
    drop(listener);
    // All places are free when the last connection has ended.
    let _ = timeout(last, places.acquire_many(connections)).await;
    Ok(())
}

impl Server {
    async fn connection(self: Arc<Self>, stream: TcpStream, mut stop: watch::Receiver<bool>) {
        let Limits {
            head,
            connection: longest,
            last,
            ..
        } = self.limits;
        let service = service_fn(|request| Arc::clone(&self).answer(request));
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(head)
            .max_buf_size(PIECE)
            // Vectored writing to a client that has gone away raises SIGPIPE, of which a program may die.
            .writev(false)
            // Who has nothing more to ask may shut that direction and still be answered.
            .half_close(true);
        let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            // However it ended, nobody is there to be told.
            _ = connection.as_mut() => return,
            () = sleep(longest) => {}
            _ = stop.changed() => {}
        }
        connection.as_mut().graceful_shutdown();
        let _ = timeout(last, connection).await;
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Pieces>, Infallible> {
        let (head, mut body) = request.into_parts();
        let mut answer = match self.site.route(&head) {
            Route::Answered(answer) => answer,
            Route::Search => {
                let read = timeout(self.limits.body, self.read(&mut body)).await;
                let too_slow = |_| {
                    let text = "the photograph took too long to come".to_owned();
                    Err((StatusCode::REQUEST_TIMEOUT, text))
                };
                match read.unwrap_or_else(too_slow) {
                    Ok(photograph) => Arc::clone(&self).search(photograph).await,
                    Err((status, text)) => plain(status, &text),
                }
            }
        };
        if !body.is_end_stream() {
            let headers = answer.headers_mut();
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            tokio::spawn(timeout(self.limits.refused, throw_away(body)));
        }
        Ok(answer.map(Pieces))
    }

    /// The body of a request, and its share of the memory for bodies.
    async fn read(&self, body: &mut Incoming) -> Result<Photograph, Refusal> {
        let largest = self.limits.largest;
        let mut bytes = Vec::new();
        let mut share = self.share(0).await;
        // What is announced is refused before it comes.
        let mut size = body.size_hint().lower();
        while size <= largest {
            let Some(piece) = next_piece(body).await? else {
                return Ok(Photograph {
                    bytes,
                    _share: share,
                });
            };
            share.merge(self.share(piece.len()).await);
            bytes.extend_from_slice(&piece);
            size = bytes.len() as u64;
        }
        let text = format!("a photograph may have {largest} bytes");
        Err((StatusCode::PAYLOAD_TOO_LARGE, text))
    }

    /// So many bytes of the memory for bodies, as soon as others have left so many.
    async fn share(&self, bytes: usize) -> OwnedSemaphorePermit {
        let memory = Arc::clone(&self.memory);
        let share = memory.acquire_many_owned(bytes as u32).await;
        share.expect("nobody closes it")
    }

    async fn search(self: Arc<Self>, photograph: Photograph) -> Answer {
        let look_up = move || {
            // With its share of the memory, which is taken for as long as this lasts, whoever asked may be gone or not.
            let photograph = photograph;
            self.site.search(&photograph.bytes)
        };
        let found = tokio::task::spawn_blocking(look_up).await;
        // A search that panics costs nobody else.
        let failed = |_| plain(StatusCode::INTERNAL_SERVER_ERROR, "the search failed");
        found.unwrap_or_else(failed)
    }
}

/// A status and a sentence.
type Refusal = (StatusCode, String);

/// A body, for as long as it takes memory.
struct Photograph {
    bytes: Vec<u8>,
    _share: OwnedSemaphorePermit,
}

async fn next_piece(body: &mut Incoming) -> Result<Option<Bytes>, Refusal> {
    let broke_off = |_| {
        (
            StatusCode::BAD_REQUEST,
            "the photograph broke off".to_owned(),
        )
    };
    while let Some(frame) = next_frame(body).await {
        // What is no data is a header behind the body.
        if let Ok(data) = frame.map_err(broke_off)?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

async fn throw_away(mut body: Incoming) {
    while let Some(Ok(_)) = next_frame(&mut body).await {}
}

async fn next_frame(body: &mut Incoming) -> Option<hyper::Result<Frame<Bytes>>> {
    poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await
}

/// An answer on its way, a piece at a time: a client that reads slowly keeps one piece of a page in memory, not a copy of it.
struct Pieces(Bytes);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let size = self.0.len().min(PIECE);
        Poll::Ready((size > 0).then(|| Ok(Frame::data(self.0.split_to(size)))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}

#[cfg(test)]
mod tests;
