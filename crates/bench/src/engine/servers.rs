//! The servers of the comparison: building, configuring, starting on core 0, ending.

use super::process::{child_of, end};
use super::wire::Server;
use crate::run::{Result, ask, cargo, program, root, run, write};
use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Builds everything in release, and installs what is missing.
pub(crate) fn prepare() -> Result {
    if ask(&mut program("taskset", &["-V"])).is_none() {
        return Err("the measurement needs Linux with taskset (util-linux)".into());
    }
    // One at a time: together they would share features, and be built anew.
    run(&mut cargo(&["build", "--release", "-p", "tidewire"]))?;
    run(&mut cargo(&["build", "--release", "-p", "xtask"]))?;
    run(&mut cargo(&["build", "--release", "-p", "xtask", "--example", "axum_peer"]))?;
    if !std::path::Path::new(MODULE).exists() {
        let install = ["install", "-y", "--no-install-recommends", "nginx", "libnginx-mod-nchan"];
        run(program("apt-get", &install).env("DEBIAN_FRONTEND", "noninteractive")).map_err(|problem| {
            format!("{problem}: install nginx and its module Nchan (Debian: libnginx-mod-nchan) as {MODULE}")
        })?;
    }
    Ok(())
}

/// A server that runs, until this is dropped.
pub(crate) struct Running {
    pub(crate) server: Server,
    pub(crate) port: u16,
    /// The process that does the work.
    pub(crate) pid: u32,
    child: Child,
}

impl Running {
    pub(crate) fn start(server: Server) -> Result<Self> {
        let port = free_port()?;
        let log = root().join(format!("target/bench/{}.log", server.name()));
        write(&log, b"")?;
        let log =
            File::create(&log).map_err(|error| format!("{} cannot be written: {error}", log.display()))?;
        let mut command = command(server, port)?;
        command.current_dir(root()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child =
            command.spawn().map_err(|error| format!("{} cannot be started: {error}", server.name()))?;
        let mut running = Self { server, port, pid: child.id(), child };
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if start.elapsed() > Duration::from_secs(10) {
                return Err(format!("{} does not answer: see target/bench/{0}.log", server.name()));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        if server == Server::Nchan {
            std::thread::sleep(Duration::from_millis(300));
            running.pid = child_of(running.pid).ok_or("nginx has no worker")?;
        }
        Ok(running)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if end(self.child.id()).is_ok() {
            let start = Instant::now();
            while matches!(self.child.try_wait(), Ok(None)) && start.elapsed() < Duration::from_secs(5) {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Pinned to core 0. `taskset` becomes the server, so its process id is the server's.
fn command(server: Server, port: u16) -> Result<Command> {
    let address = format!("127.0.0.1:{port}");
    let release = root().join("target/release");
    let at = |name: &str| release.join(name).display().to_string();
    let words: Vec<String> = match server {
        Server::Tidewire => {
            [&at("tidewire"), "serve", "--listen", &address, "--threads", "1"].map(str::to_owned).into()
        }
        Server::Floor => [&at("xtask"), "bench", "floor", &port.to_string()].map(str::to_owned).into(),
        Server::Axum => vec![at("examples/axum_peer"), address],
        Server::Nchan | Server::Return => {
            let folder = root().join("target/bench/nginx");
            let configuration = CONFIGURATION.replace("MODULE", MODULE).replace("ADDRESS", &address);
            write(&folder.join("nginx.conf"), configuration.as_bytes())?;
            let folder = folder.display().to_string();
            ["nginx", "-e", "error.log", "-p", &folder, "-c", "nginx.conf"].map(str::to_owned).into()
        }
    };
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).args(words);
    Ok(command)
}

/// A port of this machine that nobody listened on a moment ago.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.map(|address| address.port()).map_err(|error| format!("no free port: {error}"))
}

const MODULE: &str = "/usr/lib/nginx/modules/ngx_nchan_module.so";

/// One worker, as fast as it can be configured: no logs, no timeouts, memory for all messages.
const CONFIGURATION: &str = r#"load_module MODULE;
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid nginx.pid;
error_log error.log warn;
events { worker_connections 19900; use epoll; multi_accept on; }
http {
    access_log off;
    tcp_nodelay on;
    keepalive_timeout 600s;
    keepalive_requests 1000000000;
    client_body_buffer_size 64k;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    nchan_shared_memory_size 256M;
    nchan_message_buffer_length 4096;
    nchan_message_timeout 10m;
    nchan_subscriber_timeout 0;
    server {
        listen ADDRESS backlog=4096;
        default_type text/plain;
        nchan_subscriber_first_message newest;
        location ~ ^/pub/(.+)$      { nchan_publisher; nchan_channel_id $1; }
        location ~ ^/ws/(.+)$       { nchan_subscriber websocket; nchan_channel_id $1; }
        location ~ ^/sse/(.+)$      { nchan_subscriber eventsource; nchan_channel_id $1; }
        location ~ ^/stream/(.+)$   { nchan_subscriber http-chunked; nchan_channel_id $1; }
        location ~ ^/longpoll/(.+)$ { nchan_subscriber longpoll; nchan_channel_id $1; }
        location ~ ^/poll/(.+)$     { nchan_subscriber intervalpoll; nchan_channel_id $1; nchan_subscriber_first_message -1; }
        location = /plain           { return 200 "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"; }
    }
}
"#;
