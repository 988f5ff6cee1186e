//! Builds, starts (on core 0) and ends the echo servers of the comparison.

use crate::process::{Running, free_port, listens, need_taskset};
use std::path::Path;
use std::process::{Command, Stdio};
use tidewire_testkit::run::{Result, ask, cargo, files, need, program, root, run, target, write};

/// The compared servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Peer {
    /// The five-line loop over `tidewire_ws::tokio::WebSocket`.
    Tidewire,
    /// The example `ws_echo`, on tidewire-server.
    Example,
    /// uWebSockets in C++.
    Uws,
    Tungstenite,
    /// tokio-tungstenite with a loop that feeds all messages, then flushes.
    TungsteniteBatch,
    Fastwebsockets,
    Yawc,
}

impl Peer {
    pub(crate) const ALL: [Self; 7] = [
        Self::Tidewire,
        Self::Example,
        Self::Uws,
        Self::TungsteniteBatch,
        Self::Tungstenite,
        Self::Fastwebsockets,
        Self::Yawc,
    ];
    /// The peers that answer each message with its own write.
    pub(crate) const NAIVE: [Self; 3] = [Self::Tungstenite, Self::Fastwebsockets, Self::Yawc];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Tidewire => "tidewire",
            Self::Example => "ws_echo",
            Self::Uws => "uWebSockets",
            Self::Tungstenite => "tungstenite",
            Self::TungsteniteBatch => "tungstenite-batch",
            Self::Fastwebsockets => "fastwebsockets",
            Self::Yawc => "yawc",
        }
    }
}

/// Builds everything in release mode.
pub(crate) fn prepare() -> Result {
    need_taskset()?;
    for words in [
        ["-p", "tidewire-bench", "--example", "ws_peers"],
        ["-p", "tidewire-examples", "--example", "ws_echo"],
    ] {
        run(cargo(&["build", "--release"]).args(words))?;
    }
    uws()
}

/// uWebSockets has no package of its own. A crate of bindings contains its whole source: cargo
/// fetches it, and this function compiles it.
fn uws() -> Result {
    need("g++", &["--version"], &["g++"])?;
    let folder = target().join("bench/uws");
    let manifest = folder.join("Cargo.toml");
    write(&manifest, MANIFEST.as_bytes())?;
    write(&folder.join("src/lib.rs"), b"")?;
    let manifest = manifest.display().to_string();
    let metadata = ask(&mut cargo(&["metadata", "--format-version", "1", "--manifest-path", &manifest]))
        .ok_or("the source of uWebSockets cannot be fetched from crates.io (libuwebsockets-sys)")?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata).map_err(|error| error.to_string())?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let source = packages.filter(|package| package["name"] == "libuwebsockets-sys");
    let source = source.filter_map(|package| Path::new(package["manifest_path"].as_str()?).parent()).next();
    let source = source.ok_or("cargo metadata does not say where libuwebsockets-sys is")?.join("uWebSockets");
    let sockets = source.join("uSockets/src");
    let mut objects = Vec::new();
    for file in files(&sockets, ".c").iter().filter(|file| !file.to_string_lossy().contains("/io_uring/")) {
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        let object = folder.join(format!("{name}.o")).display().to_string();
        let mut gcc = program("gcc", &["-O3", "-DLIBUS_NO_SSL", "-w", "-c", "-o", &object]);
        run(gcc.arg(format!("-I{}", sockets.display())).arg(file))?;
        objects.push(object);
    }
    let mut gxx = program("g++", &["-O3", "-std=c++20", "-DLIBUS_NO_SSL", "-DUWS_NO_ZLIB", "-w"]);
    gxx.arg(format!("-I{}", source.join("src").display())).arg(format!("-I{}", sockets.display()));
    gxx.arg(root().join("crates/bench/peers/uws_echo.cpp")).args(objects);
    run(gxx.arg("-o").arg(folder.join("uws_echo")))
}

/// A running server. It is ended when dropped.
pub(crate) struct Started {
    pub(crate) port: u16,
    running: Running,
}

impl Started {
    pub(crate) fn start(peer: Peer) -> Result<Self> {
        let port = free_port()?;
        let running = Running::start(peer.name(), command(peer, port).stdout(Stdio::null()))?;
        if !listens(port) {
            return Err(format!("{} does not listen", peer.name()));
        }
        Ok(Self { port, running })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.running.pid()
    }
}

/// Starts a server on core 0. `taskset` becomes the server, so the server has its process id.
fn command(peer: Peer, port: u16) -> Command {
    let release = target().join("release/examples");
    let mut command = program("taskset", &["-c", "0"]);
    match peer {
        Peer::Example => command.arg(release.join("ws_echo")).arg(format!("127.0.0.1:{port}")),
        Peer::Uws => command.arg(target().join("bench/uws/uws_echo")).arg(port.to_string()),
        other => command.arg(release.join("ws_peers")).arg(other.name()).arg(port.to_string()),
    };
    command
}

const MANIFEST: &str = r#"[package]
name = "uws-source"
version = "0.0.0"
edition = "2021"
publish = false

[dependencies]
libuwebsockets-sys = "=0.0.10"

[workspace]
"#;
