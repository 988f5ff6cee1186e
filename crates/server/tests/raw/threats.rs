//! Published attacks on the end of a message that worked on other servers, with the identifiers of
//! the reports.
//!
//! Each attack is a case of a wire document, which the test finds by its bytes. If an attack needs
//! a server, it is a request of its own. A second request follows each attack or is in its body,
//! and must never be answered. The server refuses all other refused cases of the wire documents
//! too.

use tidewire_testkit::vectors::{self, Vector};

use crate::framing::{chunked, refused};
use crate::site::{Site, get};

/// A class of attacks with the identifiers of published cases.
struct Threat {
    name: &'static str,
    attacks: &'static [Attack],
}

enum Attack {
    /// The cases of `docs/wire/http1.md` that contain these bytes, and the status of our answer.
    Head(&'static str, u16),
    /// The cases of `docs/wire/chunked.md` that contain these bytes, as the body of a POST.
    Chunks(&'static str, u16),
    /// A head whose body looks like a request, and the status of our answer.
    Unread(&'static str, u16),
}
use Attack::{Chunks, Head, Unread};

const THREATS: &[Threat] = &[
    Threat {
        name: "Content-Length that is not one number (CVE-2021-32715, CVE-2023-40225)",
        attacks: &[
            Head("Content-Length: +5\r\n", 400),
            Head("Content-Length: -1\r\n", 400),
            Head("Content-Length: 0x5\r\n", 400),
            Head("Content-Length: 5,6\r\n", 400),
            Head("Content-Length: 5,5\r\n", 400),
            Head("Content-Length: 5 5\r\n", 400),
            Head("Content-Length:\r\n", 400),
            Head("Content-Length: 5\r\nContent-Length: 6\r\n", 400),
            Head("Content-Length: 5\r\nContent-Length: 5\r\n", 400),
            Head("Content-Length: 18446744073709551616\r\n", 400),
        ],
    },
    Threat {
        name: "chunk sizes that overflow (RUSTSEC-2021-0079, RUSTSEC-2026-0181, CVE-2021-40346)",
        attacks: &[
            Chunks("FFFFFFFFFFFFFFFFF\r\n", 413),
            Chunks("FFFFFFFFFFFFFFFF\r\n", 413),
            Chunks("FFFFFFFFFFFFFFFE\r\n", 413),
            Chunks("00000000000000005\r\n", 400),
        ],
    },
    Threat {
        name: "a transfer coding that is nearly chunked (RUSTSEC-2021-0020, RUSTSEC-2020-0031, \
               CVE-2022-32213, CVE-2022-32215)",
        attacks: &[
            Head("Transfer-Encoding: xchunked\r\n", 501),
            Head("Transfer-Encoding: chunked, identity\r\n", 400),
            Head("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400),
            Head("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", 400),
            Head("Transfer-Encoding: \x0bchunked\r\n", 400),
        ],
    },
    Threat {
        name: "a length and a coding, or a coding in HTTP/1.0 (CVE-2026-42581, CVE-2026-2835)",
        attacks: &[
            Head("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400),
            Head("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", 400),
            Head("HTTP/1.0\r\nTransfer-Encoding: chunked\r\n", 400),
        ],
    },
    Threat {
        name: "a chunk line that ends in LF for some (CVE-2025-58056, CVE-2025-55315, CVE-2025-22871)",
        attacks: &[
            Chunks("5;\nhello", 400),
            Chunks("5\nhello", 400),
            Chunks("5;a\nb\r\n", 400),
            Chunks("5;a\rb\r\n", 400),
        ],
    },
    Threat {
        name: "a quoted string that swallows CR LF (CVE-2026-33870)",
        attacks: &[Chunks("5;a=\"b\r\nhello", 400)],
    },
    Threat {
        name: "other bytes in place of the CR LF behind the data (CVE-2025-43859)",
        attacks: &[Chunks("helloXX0", 400), Chunks("hello\n0", 400), Chunks("hello0", 400)],
    },
    Threat {
        name: "extensions without end (CVE-2023-39326, CVE-2024-22019)",
        attacks: &[Chunks("5;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 400)],
    },
    Threat {
        name: "CR alone as a line end (CVE-2025-23167, CVE-2023-30589, CVE-2022-35256)",
        attacks: &[
            Head("Host: h\r\n\rX", 400),
            Head("X: a\rTransfer-Encoding: chunked", 400),
            Head("HTTP/1.1\rHost: h", 400),
            Chunks("0\r\n\rX", 400),
        ],
    },
    Threat {
        name: "names and lines that are repaired (CVE-2021-22959, CVE-2024-27982, CVE-2023-25725)",
        attacks: &[
            Head("Content-Length : 5", 400),
            Head("X: a\r\n  b", 400),
            Head("\r\n: a", 400),
            Head("X: a\0b\r\n\r\n", 400),
            Chunks("a : b", 400),
            Chunks("a: b\r\n c", 400),
        ],
    },
    Threat {
        name: "bytes before the request line (CVE-2026-50020)",
        attacks: &[Head("\0GET /", 400), Head("\nGET / HTTP/1.1", 400), Head("\r\n\r\n\r\nGET /", 400)],
    },
    Threat {
        name: "a body that nobody reads (RUSTSEC-2020-0093, RUSTSEC-2020-0008, CVE-2025-4366)",
        attacks: &[
            // A GET with a body, a POST to what is not there, one whose handler does not look at
            // it, and a refusal before the body.
            Unread("GET / HTTP/1.1\r\nHost: h\r\n", 200),
            Unread("POST /nowhere HTTP/1.1\r\nHost: h\r\n", 404),
            Unread("POST /ignore HTTP/1.1\r\nHost: h\r\n", 200),
            Unread("POST / HTTP/1.1\r\nHost: h\r\nExpect: miracles\r\n", 417),
            Unread("GET /upgrade HTTP/1.1\r\nHost: h\r\n", 400),
        ],
    },
    Threat {
        name: "an upgrade with a body (CVE-2026-2833, CVE-2026-58055)",
        attacks: &[Unread(
            "GET /upgrade HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: echo\r\n",
            400,
        )],
    },
    Threat {
        name: "no host, two hosts, a version that is not ours",
        attacks: &[
            Head("HTTP/1.1\r\nAccept: */*\r\n\r\n", 400),
            Head("Host: h\r\nHost: h\r\n", 400),
            Head("PRI * HTTP/2.0", 505),
        ],
    },
];

#[test]
fn published_attacks_are_refused() {
    let site = Site::start();
    let (heads, chunks) = (vectors::of("http1"), vectors::of("chunked"));
    for Threat { name, attacks } in THREATS {
        for attack in *attacks {
            match attack {
                Head(bytes, status) => {
                    for case in holding(&heads, name, bytes) {
                        refused(&site, name, *status, &case.input);
                    }
                }
                Chunks(bytes, status) => {
                    for case in holding(&chunks, name, bytes) {
                        refused(&site, name, *status, &as_body(case));
                    }
                }
                Unread(head, status) => unread(&site, name, *status, head),
            }
        }
    }
}

/// The cases of a document with default limits that contain these bytes and are refused. There must
/// be at least one.
fn holding<'a>(cases: &'a [Vector], name: &str, bytes: &str) -> Vec<&'a Vector> {
    let found: Vec<_> = cases
        .iter()
        .filter(|case| {
            case.options.is_empty() && case.input.windows(bytes.len()).any(|w| w == bytes.as_bytes())
        })
        .filter(|case| case.events.last().is_some_and(|event| event.contains("error")))
        .collect();
    assert!(!found.is_empty(), "{name}: no case of the wire document holds {bytes:?}");
    found
}

fn as_body(case: &Vector) -> Vec<u8> {
    let mut request = chunked("");
    request.extend_from_slice(&case.input);
    request
}

/// Checks that a request in the body of another one is not executed, in both framings and in one or
/// two writes.
fn unread(site: &Site, name: &str, status: u16, head: &str) {
    let smuggled = get("/smuggled");
    let length = format!("{head}Content-Length: {}\r\n\r\n{smuggled}", smuggled.len());
    let chunks =
        format!("{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{smuggled}\r\n0\r\n\r\n", smuggled.len());
    for request in [length, chunks] {
        let body = request.find("\r\n\r\n").unwrap() + 4;
        for cut in [request.len(), body, body + 9] {
            let mut raw = site.raw();
            raw.offer(&request.as_bytes()[..cut]);
            if cut < request.len() {
                // Only for chance: the server reads the first part alone.
                std::thread::sleep(std::time::Duration::from_millis(5));
                raw.offer(&request.as_bytes()[cut..]);
            }
            assert_eq!(raw.response().status, status, "{name}: {request:?} cut at {cut}");
            // The server may have closed already.
            raw.try_half_close();
            let rest = raw.rest();
            assert!(rest.is_empty(), "{name}: a second answer: {:?}", String::from_utf8_lossy(&rest));
            let executed = site.seen.requests().iter().any(|request| request.contains("smuggled"));
            assert!(!executed, "{name}: the body was executed");
        }
    }
}

/// The server refuses every case that the documents refuse, with the status of the document, and
/// reads nothing after it.
#[test]
fn the_refusals_of_the_wire_documents_hold_on_the_server() {
    let site = Site::start();
    let (mut heads, mut bodies) = (0, 0);
    for case in vectors::of("http1").iter().filter(|case| case.options.is_empty()) {
        let Some((_, status)) = case.events.last().and_then(|event| event.split_once("answer ")) else {
            continue;
        };
        let event = case.events.last().unwrap();
        // A cut needs an end of input, which is another test; and chunks have their own document,
        // where the handler reads them.
        if event.contains("UnexpectedEnd") || event.contains("Chunked") || case.events.len() > 1 {
            continue;
        }
        let name = format!("http1.md:{} {}", case.line, case.heading);
        refused(&site, &name, status.parse().unwrap(), &case.input);
        heads += 1;
    }
    for case in vectors::of("chunked").iter().filter(|case| case.options.is_empty()) {
        let refusal =
            case.events.last().filter(|event| event.contains("error") && !event.contains("UnexpectedEnd"));
        if refusal.is_some() {
            let name = format!("chunked.md:{} {}", case.line, case.heading);
            // A size over the limit of the server is refused before the bytes that follow it.
            let large = case.input.windows(8).any(|w| w == b"FFFFFFFF");
            refused(&site, &name, if large { 413 } else { 400 }, &as_body(case));
            bodies += 1;
        }
    }
    assert!(heads >= 60 && bodies >= 70, "{heads} heads, {bodies} bodies");
}
