//! The load: a process on its own core. It measures one server with one workload and prints one
//! line of JSON.

mod args;
mod churn;
mod clients;
mod fanout;
mod get;
mod idle;
mod message;
mod scan;

use args::Workload;
use serde_json::Value;
use tidewire_testkit::run::Result;

pub(crate) use args::Args;

pub(crate) fn run(args: &Args) -> Result {
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let measured = match args.workload {
        Workload::Fanout => fanout::run(args),
        Workload::Idle => idle::run(args),
        Workload::Get => get::run(args),
        Workload::Churn => churn::run(args),
    };
    let value: Value = measured.map_err(|error| format!("{}: {error}", args.server.name()))?;
    println!("{value}");
    Ok(())
}
