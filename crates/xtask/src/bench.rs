//! `cargo xtask attacks`, `bench`, `bench-ws`, `compile-times` and `transports`: the crate
//! `tidewire-bench`, built in release.

use std::ffi::OsString;
use std::process::ExitCode;
use tidewire_testkit::run::cargo;

/// The options of the measurement.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// See `--help`.
    #[arg(value_name = "OPTION", trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<OsString>,
}

/// Builds the measurements and runs one of them. Returns its exit status.
pub(crate) fn run(command: &str, args: &Args) -> ExitCode {
    let mut run = cargo(&["run", "--quiet", "--release", "--package", "tidewire-bench", "--", command]);
    match run.args(&args.options).status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(status) => {
            let code = status.code().and_then(|code| u8::try_from(code).ok());
            code.map_or(ExitCode::FAILURE, ExitCode::from)
        }
        Err(error) => {
            eprintln!("xtask: cargo cannot be started: {error}");
            ExitCode::FAILURE
        }
    }
}
