//! permessage-deflate with other implementations: npm `ws` and Python's `websockets`, each as
//! client and as server.
//!
//! The first run installs them into `target/interop`, from the npm registry and from PyPI.
//! `cargo xtask check` installs node, npm and python3 if they are missing.
#![cfg(all(feature = "deflate", feature = "tokio"))]
#![allow(clippy::unwrap_used)] // a test

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use tidewire_ws::deflate::Config;
use tidewire_ws::handshake::client::Request;
use tidewire_ws::handshake::server::{Options, accept};
use tidewire_ws::tokio::WebSocket;
use tidewire_ws::{Client, Connection, Limits, Message, Server};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

const LIMITS: Limits = Limits::DEFAULT.with_max_frame(1 << 26).with_max_message(1 << 26);

/// Compresses small messages too, with and without context takeover.
fn configs() -> [Config; 3] {
    let always = Config::DEFAULT.with_threshold(0);
    [
        always,
        always.with_context_takeover(true),
        always.with_context_takeover(true).with_max_window_bits(10).with_level(9),
    ]
}

#[tokio::test]
async fn npm_ws_is_the_client() {
    let folder = npm_ws();
    for config in configs() {
        let url = serve(config).await;
        let script = script("client.js");
        run("node", &[&script, &folder, &url]).await;
    }
}

#[tokio::test]
async fn npm_ws_is_the_server() {
    let folder = npm_ws();
    for setting in [
        "{}",
        r#"{"serverNoContextTakeover":true,"clientNoContextTakeover":true}"#,
        r#"{"serverMaxWindowBits":9}"#,
    ] {
        let (_server, port) = start("node", &[&script("server.js"), &folder, setting]).await;
        for config in configs() {
            within("all echoes", visit(port, config)).await;
        }
    }
}

#[tokio::test]
async fn python_websockets_is_the_client() {
    let python = python_websockets();
    for config in configs() {
        let url = serve(config).await;
        run(&python, &[&script("client.py"), &url]).await;
    }
}

#[tokio::test]
async fn python_websockets_is_the_server() {
    let python = python_websockets();
    for setting in [
        "{}",
        r#"{"server_no_context_takeover":true}"#,
        r#"{"client_no_context_takeover":true}"#,
        r#"{"server_no_context_takeover":true,"client_no_context_takeover":true}"#,
        r#"{"server_max_window_bits":9}"#,
    ] {
        let (_server, port) = start(&python, &[&script("server.py"), setting]).await;
        for config in configs() {
            visit(port, config).await;
        }
    }
}

/// Starts our echo server and returns its URL.
async fn serve(config: Config) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let head = read_head(&mut stream).await;
                let mut headers = [httparse::EMPTY_HEADER; 32];
                let mut request = httparse::Request::new(&mut headers);
                request.parse(&head).unwrap();
                let fields = request.headers.iter().map(|field| (field.name.as_bytes(), field.value));
                let options = Options::DEFAULT.with_deflate(config);
                let accept = accept(b"GET", (1, 1), fields, &options).unwrap();
                let mut answer = String::from("HTTP/1.1 101 Switching Protocols\r\n");
                for (name, value) in accept.response_fields() {
                    answer.push_str(&format!("{name}: {value}\r\n"));
                }
                stream.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
                let mut connection = Connection::<Server>::new(LIMITS);
                if let Some(params) = accept.deflate() {
                    connection = connection.with_deflate(params, &config);
                }
                let mut socket =
                    WebSocket::new(stream, connection).with_write_limit(1 << 26, Default::default());
                while let Some(Ok(message)) = socket.next().await {
                    if message.is_data() {
                        socket.send(message).await.unwrap();
                    }
                }
            });
        }
    });
    url
}

/// Connects our client, sends messages of many shapes, and compares the echoes.
async fn visit(port: u16, config: Config) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = Request::new([5; 16], &[]).with_deflate(config);
    let mut head = String::from("GET / HTTP/1.1\r\nHost: localhost\r\n");
    for (name, value) in request.fields() {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).await.unwrap();
    let head = read_head(&mut stream).await;
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    response.parse(&head).unwrap();
    let fields = response.headers.iter().map(|field| (field.name.as_bytes(), field.value));
    let agreed = request.verify(response.code.unwrap(), fields).unwrap();
    let params = agreed.deflate().expect("deflate was negotiated");
    let connection = Connection::<Client>::new(LIMITS).with_deflate(params, &config);
    let mut socket = WebSocket::new(stream, connection);
    for len in [0, 1, 20, 125, 126, 1000, 1025, 20_000, 65_535, 65_536, 300_000] {
        let noise: Vec<u8> =
            (0..len).map(|i: usize| (i.wrapping_mul(i) * 31 + (i >> 3) * 17) as u8).collect();
        for message in [
            Message::text("tide ".repeat(len / 5)),
            Message::Binary(noise.into()),
            Message::text("κόσμε 🌊 ".repeat(len / 18)),
        ] {
            socket.send(message.clone()).await.unwrap();
            assert!(socket.next().await.unwrap().unwrap() == message, "{len} with {config:?}");
        }
    }
    socket.close(Some(1000), "").await.unwrap();
    while let Some(message) = socket.next().await {
        assert!(matches!(message.unwrap(), Message::Close { code: Some(1000), .. }));
    }
}

async fn read_head(stream: &mut TcpStream) -> Vec<u8> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    head
}

/// Waits for all of something, not for each part of it. The peers are other programs.
async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let patience = 3 * tidewire_testkit::deadline::PATIENCE;
    let done = tokio::time::timeout(patience, future).await;
    done.unwrap_or_else(|_| panic!("not within {patience:?}: {what}"))
}

async fn run(program: &str, args: &[&str]) {
    let mut command = tokio::process::Command::new(program);
    let output =
        within("the end of the client", command.args(args).kill_on_drop(true).output()).await.unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.trim() == "ok", "{program} {args:?}:\n{out}{err}");
}

/// Starts a server that prints its port. It stops when the returned child is dropped.
async fn start(program: &str, args: &[&str]) -> (tokio::process::Child, u16) {
    let mut command = tokio::process::Command::new(program);
    let mut child = command.args(args).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    within("the port of the server", out.read_line(&mut line)).await.unwrap();
    (child, line.trim().parse().unwrap())
}

fn script(name: &str) -> String {
    format!("{}/tests/interop/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Allows one installation at a time.
static INSTALLING: Mutex<()> = Mutex::new(());

fn folder() -> PathBuf {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/interop"));
    std::fs::create_dir_all(&folder).unwrap();
    folder.canonicalize().unwrap()
}

/// The folder whose `node_modules` holds npm `ws`.
fn npm_ws() -> String {
    let _one = INSTALLING.lock().unwrap();
    let folder = folder();
    if !folder.join("node_modules/ws/package.json").exists() {
        let prefix = folder.to_string_lossy();
        let installed =
            succeeds("npm", &["install", "--silent", "--no-save", "--prefix", &prefix, "ws@8.23.0"]);
        assert!(
            installed,
            "npm cannot install ws: this test needs npm (Debian: nodejs, npm) and the npm registry"
        );
    }
    assert!(succeeds("node", &["--version"]), "this test needs node (Debian: nodejs)");
    folder.to_string_lossy().into_owned()
}

/// The path of a Python that has `websockets`.
fn python_websockets() -> String {
    let _one = INSTALLING.lock().unwrap();
    let venv = folder().join("venv");
    let python = venv.join("bin/python").to_string_lossy().into_owned();
    if !succeeds(&python, &["-c", "import websockets"]) {
        let made = succeeds("python3", &["-m", "venv", &venv.to_string_lossy()]);
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "websockets==17.4"];
        assert!(made, "no virtual environment: this test needs python3 with venv (Debian: python3-venv)");
        assert!(succeeds(&python, &pip), "pip cannot install websockets: this test needs PyPI");
    }
    python
}

fn succeeds(program: &str, args: &[&str]) -> bool {
    let child = Command::new(program).args(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    child.and_then(|mut child: Child| child.wait()).is_ok_and(|status| status.success())
}
