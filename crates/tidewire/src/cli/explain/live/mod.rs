//! A live connection. This program is the client, with the crates of this workspace. The dump shows
//! every byte of both directions.

mod args;
mod endpoint;
mod http;
mod session;
mod websocket;

use std::error::Error;
use std::process::ExitCode;

use super::explainer::Output;
use super::hex_dump::HexDump;
use endpoint::Endpoint;
use session::Session;

pub(super) use args::LiveArgs;

/// Connects to a URL, and explains the connection until it ends.
pub(super) fn run(url: &str, args: &LiveArgs, dump: HexDump<Output>) -> Result<ExitCode, Box<dyn Error>> {
    let endpoint = Endpoint::parse(url)?;
    if endpoint.is_websocket && args.method.is_some() {
        return Err("--method is only for http:// URLs: a WebSocket is always opened with GET".into());
    }
    if !endpoint.is_websocket && (args.deflate || !args.subprotocol.is_empty()) {
        return Err("--subprotocol and --deflate are only for ws:// URLs".into());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut session = Session::connect(&endpoint, args, dump).await?;
        let end = if endpoint.is_websocket {
            websocket::run(&mut session, &endpoint, args).await?
        } else {
            http::run(&mut session, &endpoint, args).await?
        };
        session.conclude(end)
    })
}
