//! An HTTP echo server for other projects' test suites.
//!
//! ```text
//! cargo run --release -p tidewire-examples --example http_echo -- 127.0.0.1:8080
//! curl -d hello http://127.0.0.1:8080/echo
//! ```
//! `GET /` answers 200. `POST /echo` answers with the request body, up to 64 MiB. Everything else
//! is 404 or 405.

use tidewire_server::{
    BodyError, Handler, Listen, Never, Parked, Problem, Reply, Request, Response, Server, Signals,
};

/// The size of the largest body that is echoed.
const MAX_BODY: usize = 64 * 1024 * 1024;

struct Echo;

impl Handler for Echo {
    type Ticket = Never;

    fn handle(&self, request: Request<'_>) -> Reply<Never> {
        match (request.head.method().as_str(), request.head.path()) {
            ("GET" | "HEAD", b"/") => {
                Response::new(200).with("Content-Type", "text/plain").body("OK\n").into()
            }
            ("POST", b"/echo") => echo(request),
            (_, b"/") => wrong_method("GET, HEAD").into(),
            (_, b"/echo") => wrong_method("POST").into(),
            _ => Problem::new(404, "There is GET / and POST /echo.").into_response().into(),
        }
    }

    fn detached(&self, _: Parked, ticket: Never) {
        match ticket {}
    }
}

/// Answers with the body and its media type. If the body arrived with its head, the answer is
/// immediate.
fn echo(request: Request<'_>) -> Reply<Never> {
    let media = request.head.get("content-type").unwrap_or(b"application/octet-stream").to_vec();
    let respond = move |body| Response::new(200).with("Content-Type", media).body(body);
    if let Some(body) = request.body.as_whole() {
        return respond(body.clone()).into();
    }
    let body = request.body;
    Reply::Later(Box::pin(async move {
        match body.collect(MAX_BODY).await {
            Ok(body) => respond(body).into(),
            Err(error) => {
                let status = match error {
                    BodyError::TooLarge => 413,
                    BodyError::TooSlow => 408,
                    _ => 400,
                };
                Problem::new(status, error.to_string()).into_response().into()
            }
        }
    }))
}

/// RFC 9110 §15.5.6: a 405 lists the allowed methods.
fn wrong_method(allow: &str) -> Response {
    Problem::new(405, format!("Allowed here: {allow}.")).into_response().with("Allow", allow)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listen: Listen = std::env::args().nth(1).as_deref().unwrap_or("127.0.0.1:8080").parse()?;
    let server = Server::builder().listen(listen).bind()?;
    let signals = Signals::catch()?;
    println!("http_echo on http://{}", server.addresses()[0]);
    server.serve(|_| Echo)?.join_until(signals)?;
    Ok(())
}
