//! Builds, configures, starts (on core 0) and ends the servers of the comparison.

use super::wire::Server;
use crate::process::{Running, child_of, free_port, listens, need_taskset};
use std::fs::File;
use std::process::{Command, Stdio};
use std::time::Duration;
use tidewire_testkit::run::{Result, cargo, program, root, run, target, write};

/// Builds everything in release mode, and installs what is missing.
pub(crate) fn prepare() -> Result {
    need_taskset()?;
    // One at a time: in one build they would share features and be built again.
    run(&mut cargo(&["build", "--release", "-p", "tidewire"]))?;
    run(&mut cargo(&["build", "--release", "-p", "tidewire-bench", "--example", "axum_peer"]))?;
    if !std::path::Path::new(MODULE).exists() {
        let install = ["install", "-y", "--no-install-recommends", "nginx", "libnginx-mod-nchan"];
        run(program("apt-get", &install).env("DEBIAN_FRONTEND", "noninteractive")).map_err(|problem| {
            format!("{problem}: install nginx and its module Nchan (Debian: libnginx-mod-nchan) as {MODULE}")
        })?;
    }
    Ok(())
}

/// A running server. It is ended when dropped.
pub(crate) struct Started {
    pub(crate) server: Server,
    pub(crate) port: u16,
    /// The process that serves.
    pub(crate) pid: u32,
    _running: Running,
}

impl Started {
    pub(crate) fn start(server: Server) -> Result<Self> {
        let port = free_port()?;
        let path = target().join(format!("bench/{}.log", server.name()));
        write(&path, b"")?;
        let log =
            File::create(&path).map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
        let mut command = command(server, port)?;
        command.current_dir(root()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let running = Running::start(server.name(), &mut command)?;
        let mut started = Self { server, port, pid: running.pid(), _running: running };
        if !listens(port) {
            return Err(format!("{} does not answer: see {}", server.name(), path.display()));
        }
        if server == Server::Nchan {
            std::thread::sleep(Duration::from_millis(300));
            started.pid = child_of(started.pid).ok_or("nginx has no worker")?;
        }
        Ok(started)
    }
}

/// Starts a server on core 0. `taskset` becomes the server, so the server has its process id.
fn command(server: Server, port: u16) -> Result<Command> {
    let address = format!("127.0.0.1:{port}");
    let release = target().join("release");
    let at = |name: &str| release.join(name).display().to_string();
    let words: Vec<String> = match server {
        Server::Tidewire => {
            [&at("tidewire"), "serve", "--listen", &address, "--threads", "1"].map(str::to_owned).into()
        }
        Server::BareLoop => {
            let myself = std::env::current_exe().map_err(|error| format!("the bare loop: {error}"))?;
            [&myself.display().to_string(), "bench", "bare-loop", &port.to_string()].map(str::to_owned).into()
        }
        Server::Axum => vec![at("examples/axum_peer"), address],
        Server::Nchan | Server::Return => {
            let folder = target().join("bench/nginx");
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

const MODULE: &str = "/usr/lib/nginx/modules/ngx_nchan_module.so";

/// One worker, configured to be as fast as possible: no logs, no time-outs, memory for all
/// messages.
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
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi; scgi_temp_path scgi;
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
        location ~ ^/poll/(.+)$     {
            nchan_subscriber intervalpoll; nchan_channel_id $1; nchan_subscriber_first_message -1;
        }
        location = /plain           { return 200 "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"; }
    }
}
"#;
