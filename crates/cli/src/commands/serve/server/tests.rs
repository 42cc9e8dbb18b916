//! Real sockets, and clients of every kind of ill will.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Instant;

use super::*;

/// So patient that no test waits for it, and bodies of 1000 bytes.
fn patient() -> Limits {
    let long = Duration::from_secs(60);
    Limits {
        largest: 1000,
        connections: 8,
        head: long,
        body: long,
        refused: long,
        connection: long,
        last: long,
    }
}

const SHORT: Duration = Duration::from_millis(100);

struct Running {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    thread: JoinHandle<io::Result<()>>,
}

impl Running {
    fn start(
        limits: Limits,
        page: &[u8],
        look_up: impl Fn(&[u8]) -> anyhow::Result<String> + Send + Sync + 'static,
    ) -> Self {
        let site = Site {
            page: Bytes::copy_from_slice(page),
            look_up: Box::new(look_up),
            anyone: false,
        };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let thread = std::thread::spawn(move || serve(listener, site, limits, stopped));
        Self {
            address,
            stop,
            thread,
        }
    }

    /// A page of three letters, and searches that answer how many bytes came.
    fn counting(limits: Limits) -> Self {
        let count = |bytes: &[u8]| Ok(bytes.len().to_string());
        Self::start(limits, b"abc", count)
    }

    fn send(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let patience = Some(Duration::from_secs(20));
        stream.set_read_timeout(patience).unwrap();
        stream.write_all(bytes).unwrap();
        stream
    }

    /// All that is answered until the server ends the connection.
    fn ask(&self, head: &str, body: &[u8]) -> String {
        let head = format!("{head}\r\nHost: localhost\r\nConnection: close\r\n");
        let length = format!("Content-Length: {}\r\n\r\n", body.len());
        let request = [head.as_bytes(), length.as_bytes(), body].concat();
        rest(self.send(&request))
    }

    fn page(&self) -> String {
        self.ask("GET / HTTP/1.1", b"")
    }

    fn end(self) {
        self.stop.send(true).unwrap();
        self.thread.join().unwrap().unwrap();
    }
}

fn rest(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

fn announced(bytes: u64) -> Vec<u8> {
    let head = "POST /search HTTP/1.1\r\nHost: localhost\r\nContent-Length: ";
    format!("{head}{bytes}\r\n\r\n").into_bytes()
}

#[test]
fn a_page_is_got_and_a_photograph_is_looked_up() {
    let server = Running::counting(patient());
    let got = server.page();
    assert!(got.starts_with("HTTP/1.1 200 OK\r\n"), "{got}");
    assert!(got.ends_with("\r\n\r\nabc"), "{got}");
    // The same head, and nothing behind it.
    let head = server.ask("HEAD /?x=1 HTTP/1.1", b"");
    assert!(
        head.contains("content-length: 3\r\n") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
    let found = server.ask("POST /search HTTP/1.1", &[7; 1000]);
    assert!(found.ends_with("\r\n\r\n1000"), "{found}");
    let chunks = "POST /search HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                  Transfer-Encoding: chunked\r\n\r\n2\r\nxy\r\n0\r\n\r\n";
    let found = rest(server.send(chunks.as_bytes()));
    assert!(found.ends_with("\r\n\r\n2"), "{found}");
    server.end();
}

#[test]
fn a_client_that_has_nothing_more_to_send_is_answered() {
    let server = Running::counting(patient());
    let stream = server.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.shutdown(Shutdown::Write).unwrap();
    assert!(rest(stream).ends_with("abc"));
    server.end();
}

#[test]
fn a_body_above_the_largest_is_refused_before_it_comes_and_while_it_comes() {
    let server = Running::counting(patient());
    let mut stream = server.send(&announced(5 << 30));
    let mut start = [0; 12];
    stream.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 413");
    // Who sends all of it before he reads an answer is told as well.
    let refused = server.ask("POST /search HTTP/1.1", &[7; 300_000]);
    assert!(refused.starts_with("HTTP/1.1 413"), "{refused}");
    assert!(
        refused.ends_with("a photograph may have 1000 bytes"),
        "{refused}"
    );
    let head = "POST /search HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunks = format!("{head}3e9\r\n{}\r\n0\r\n\r\n", "x".repeat(1001));
    let refused = rest(server.send(chunks.as_bytes()));
    assert!(refused.starts_with("HTTP/1.1 413"), "{refused}");
    server.end();
}

#[test]
fn clients_that_go_away_leave_their_places_at_once() {
    let server = Running::counting(patient());
    let get = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let half_a_body = [&announced(1000)[..], b"some"].concat();
    for sent in [b"", &get[..10], get, &half_a_body, &announced(5 << 30)] {
        for _ in 0..4 * patient().connections {
            server.send(sent);
        }
        assert!(server.page().starts_with("HTTP/1.1 200"), "{sent:?}");
    }
    server.end();
}

/// Whoever comes takes all places, and in time they are free again.
#[test]
fn slow_clients_lose_their_places() {
    let slow_head = Limits {
        head: SHORT,
        ..patient()
    };
    let slow_body = Limits {
        body: SHORT,
        refused: SHORT,
        ..patient()
    };
    let slow_to_end = Limits {
        refused: SHORT,
        ..patient()
    };
    let slow_reader = Limits {
        connection: SHORT,
        last: SHORT,
        ..patient()
    };
    let large_page = vec![b'x'; 32 << 20];
    let half_a_body = [&announced(1000)[..], b"some"].concat();
    let get = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for (limits, page, sent) in [
        (slow_head, &b"abc"[..], &b""[..]),
        (slow_head, b"abc", b"GET / HTTP/1.1\r\nHost: loc"),
        // Who asks once and stays waits for a second request.
        (slow_head, b"abc", get),
        (slow_body, b"abc", &half_a_body),
        (slow_to_end, b"abc", &announced(5 << 30)),
        (slow_reader, &large_page, get),
    ] {
        let server = Running::start(limits, page, |_| Ok(String::new()));
        let clients: Vec<TcpStream> = (0..limits.connections).map(|_| server.send(sent)).collect();
        assert!(server.page().starts_with("HTTP/1.1 200"), "{limits:?}");
        drop(clients);
        server.end();
    }
}

#[test]
fn a_body_that_does_not_come_is_answered_so() {
    let server = Running::counting(Limits {
        body: SHORT,
        refused: SHORT,
        ..patient()
    });
    let answer = rest(server.send(&announced(1000)));
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    server.end();
}

/// Forty clients would hold forty bodies; sixteen find room, and the others go on when these give up.
#[test]
fn bodies_that_stall_make_room_in_time() {
    let server = Running::counting(Limits {
        connections: 64,
        body: SHORT,
        refused: SHORT,
        ..patient()
    });
    let most_of_it = [&announced(1000)[..], &[7; 999]].concat();
    let clients: Vec<TcpStream> = (0..40).map(|_| server.send(&most_of_it)).collect();
    for client in clients {
        let answer = rest(client);
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    }
    let found = server.ask("POST /search HTTP/1.1", &[7; 1000]);
    assert!(found.ends_with("\r\n\r\n1000"), "{found}");
    server.end();
}

#[test]
fn a_search_that_panics_costs_nobody_else() {
    let server = Running::start(patient(), b"abc", |bytes| match bytes {
        b"panic" => panic!("this search was to fail"),
        _ => Ok("found".into()),
    });
    let failed = server.ask("POST /search HTTP/1.1", b"panic");
    assert!(failed.starts_with("HTTP/1.1 500"), "{failed}");
    let found = server.ask("POST /search HTTP/1.1", b"photo");
    assert!(found.ends_with("found"), "{found}");
    server.end();
}

#[test]
fn what_is_asked_before_the_end_is_answered() {
    let (asked, was_asked) = mpsc::channel();
    let (answer, answered) = mpsc::channel::<String>();
    let answered = std::sync::Mutex::new(answered);
    let server = Running::start(patient(), b"abc", move |_| {
        asked.send(()).unwrap();
        Ok(answered.lock().unwrap().recv().unwrap())
    });
    let idle = server.send(b"");
    let waiting = server.send(&[&announced(4)[..], b"some"].concat());
    was_asked.recv().unwrap();
    let start = Instant::now();
    server.stop.send(true).unwrap();
    answer.send("at last".into()).unwrap();
    assert!(rest(waiting).ends_with("at last"));
    server.thread.join().unwrap().unwrap();
    // Not only when its own time is over.
    assert!(start.elapsed() < Duration::from_secs(20));
    drop(idle);
}
