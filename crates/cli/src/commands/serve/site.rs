//! What is answered to whom: plain functions from what is asked to what is said, without a socket.

use std::net::IpAddr;

use anyhow::Result;
use hyper::body::Bytes;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Response, StatusCode};

/// A status, headers and a text.
pub(super) type Answer = Response<Bytes>;

/// Looks the bytes of a photograph up; the answer is JSON.
type LookUp = Box<dyn Fn(&[u8]) -> Result<String> + Send + Sync>;

/// What is served.
pub(super) struct Site {
    pub(super) page: Bytes,
    pub(super) look_up: LookUp,
    /// Whether other machines may ask.
    pub(super) anyone: bool,
}

/// What becomes of a request once its head is there.
pub(super) enum Route {
    /// Nothing more of it is needed.
    Answered(Answer),
    /// Its body is a photograph to be looked up.
    Search,
}

impl Site {
    /// Where a request goes. A query string is no part of its path.
    pub(super) fn route(&self, head: &Parts) -> Route {
        if let Err(reason) = self.check_host(&head.headers) {
            return Route::Answered(plain(StatusCode::FORBIDDEN, &reason));
        }
        let page = || {
            answer(
                StatusCode::OK,
                "text/html; charset=utf-8",
                self.page.clone(),
            )
        };
        match (&head.method, head.uri.path()) {
            (&(Method::GET | Method::HEAD), "/" | "/index.html") => Route::Answered(page()),
            (&Method::POST, "/search") => Route::Search,
            (_, "/" | "/index.html") => Route::Answered(only("GET, HEAD")),
            (_, "/search") => Route::Answered(only("POST")),
            _ => {
                let text = "there is nothing here but / and /search";
                Route::Answered(plain(StatusCode::NOT_FOUND, text))
            }
        }
    }

    /// Answers a search for the photograph that `bytes` are.
    pub(super) fn search(&self, bytes: &[u8]) -> Answer {
        match (self.look_up)(bytes) {
            Ok(json) => answer(StatusCode::OK, "application/json", json.into()),
            Err(error) => plain(StatusCode::BAD_REQUEST, &format!("{error:#}")),
        }
    }

    /// A page from elsewhere could ask by a name of its own that leads here; only names of this machine are answered.
    fn check_host(&self, headers: &HeaderMap) -> Result<(), String> {
        let field = |name: HeaderName| headers.get(name).map(|value| value.to_str());
        let host = match field(header::HOST) {
            Some(Ok(host)) => host,
            _ => "",
        };
        if !self.anyone && !is_this_machine(host) {
            return Err(format!("`{host}` is no name of this machine"));
        }
        let Some(origin) = field(header::ORIGIN) else {
            return Ok(());
        };
        let origin = origin.unwrap_or_default();
        match origin.split_once("://") {
            Some((_, from)) if from == host => Ok(()),
            _ => Err(format!("a page of `{origin}` may not ask")),
        }
    }
}

/// A text of a kind.
fn answer(status: StatusCode, kind: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    for (name, value) in [
        (header::CONTENT_TYPE, kind),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        // Not inside the page of another.
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        let headers = answer.headers_mut();
        headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// A sentence for whoever asked.
pub(super) fn plain(status: StatusCode, text: &str) -> Answer {
    let text = Bytes::copy_from_slice(text.as_bytes());
    answer(status, "text/plain; charset=utf-8", text)
}

/// Another method than those that are allowed.
fn only(allowed: &'static str) -> Answer {
    let text = format!("method not allowed; use {allowed}");
    let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, &text);
    let headers = answer.headers_mut();
    headers.insert(header::ALLOW, HeaderValue::from_static(allowed));
    answer
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
    use hyper::Request;

    use super::*;

    fn site(anyone: bool) -> Site {
        Site {
            page: "<p>".into(),
            look_up: Box::new(|bytes| {
                anyhow::ensure!(bytes == b"cat", "no photograph");
                Ok("{}".into())
            }),
            anyone,
        }
    }

    fn head(method: Method, target: &str, headers: &[(HeaderName, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    /// What a request of this machine is answered; nothing where a photograph is waited for.
    fn answered(method: Method, target: &str) -> Option<Answer> {
        let head = head(method, target, &[(header::HOST, "localhost:8017")]);
        match site(false).route(&head) {
            Route::Answered(answer) => Some(answer),
            Route::Search => None,
        }
    }

    #[test]
    fn the_page_is_got_by_get_and_head_whatever_the_query() {
        for target in [
            "/",
            "/?x=1",
            "/?",
            "/index.html",
            "/index.html?a=/search",
            "http://localhost:8017/",
        ] {
            for method in [Method::GET, Method::HEAD] {
                let answer = answered(method, target).unwrap();
                assert_eq!(answer.status(), 200, "{target}");
                assert_eq!(answer.headers()["x-frame-options"], "DENY");
                assert_eq!(&answer.body()[..], b"<p>");
            }
        }
        for target in [
            "/x",
            "/../../etc/passwd",
            "/%2e%2e/etc/passwd",
            "//",
            "/x?/",
        ] {
            assert_eq!(answered(Method::GET, target).unwrap().status(), 404);
        }
    }

    #[test]
    fn other_methods_are_refused_with_those_that_are_allowed() {
        for (method, target, allowed) in [
            (Method::PUT, "/", "GET, HEAD"),
            (Method::POST, "/?x=1", "GET, HEAD"),
            (Method::GET, "/search", "POST"),
            (Method::HEAD, "/search?x", "POST"),
        ] {
            let answer = answered(method, target).unwrap();
            assert_eq!(answer.status(), 405, "{target}");
            assert_eq!(answer.headers()["allow"], allowed);
        }
    }

    #[test]
    fn a_photograph_is_looked_up_and_anything_else_is_a_sentence() {
        assert!(answered(Method::POST, "/search").is_none());
        assert!(answered(Method::POST, "/search?k=3").is_none());
        let found = site(false).search(b"cat");
        assert_eq!(
            (found.status(), &found.body()[..]),
            (StatusCode::OK, &b"{}"[..])
        );
        let refused = site(false).search(b"dog");
        assert_eq!(refused.status(), 400);
        assert_eq!(&refused.body()[..], b"no photograph");
    }

    #[test]
    fn only_this_machine_and_its_own_page_are_answered() {
        let ours = (header::HOST, "127.0.0.1:8017");
        let elsewhere = (header::HOST, "evil.example");
        let own_page = (header::ORIGIN, "http://127.0.0.1:8017");
        let other_page = (header::ORIGIN, "http://evil.example");
        let no_page = (header::ORIGIN, "null");
        for (headers, anyone, allowed) in [
            (&[ours.clone()][..], false, true),
            (&[ours.clone(), own_page], false, true),
            (&[ours.clone(), other_page.clone()], false, false),
            (&[ours, no_page], false, false),
            (std::slice::from_ref(&elsewhere), false, false),
            (&[], false, false),
            (std::slice::from_ref(&elsewhere), true, true),
            (&[elsewhere.clone(), other_page], true, true),
        ] {
            for (method, target) in [(Method::GET, "/"), (Method::POST, "/search")] {
                let route = site(anyone).route(&head(method, target, headers));
                let refused = matches!(&route, Route::Answered(answer) if answer.status() == 403);
                assert_eq!(refused, !allowed, "{headers:?}, {anyone}");
            }
        }
    }

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
