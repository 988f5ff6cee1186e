//! `tidewire explain`.

mod byte_text;
mod capture;
mod colors;
mod curl_trace;
mod explainer;
mod hex_dump;
mod hint;
mod input;
mod input_kind;
mod live;
mod recent_bytes;
mod width;

use std::error::Error;
use std::io::{self, BufWriter};
use std::process::ExitCode;

use clap::Args;

use colors::{Colors, UseColors};
use hex_dump::HexDump;
use input_kind::InputKind;

#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  \
    tidewire explain 'http://127.0.0.1:8080/c/demo?feed=sse' --messages 2\n  \
    tidewire explain ws://127.0.0.1:8080/c/demo --subprotocol tidewire.v1\n  \
    printf 'GET / HTTP/1.1\\r\\nHost: a\\r\\nHost: b\\r\\n\\r\\n' | tidewire explain\n  \
    curl -siN --raw http://127.0.0.1:8080/c/demo | tidewire explain\n  \
    curl -sN --raw -o /dev/null --trace - http://127.0.0.1:8080/c/demo | tidewire explain\n  \
    echo '81 85 37 fa 21 3d 7f 9f 4d 51 58' | tidewire explain --hex\n  \
    printf 'data: hello\\n\\n' | tidewire explain --as sse\n\n\
    Exit status:\n  \
    0    all bytes were accepted\n  \
    1    a byte was refused, or the input or the server cannot be read\n  \
    2    wrong usage\n  \
    130  ctrl-c")]
pub(crate) struct ExplainArgs {
    /// A file, a URL that starts with http:// or ws://, or - for standard input
    #[arg(value_name = "FILE|URL", default_value = "-")]
    source: String,
    /// What the bytes of the file are [default: detected from the first bytes]
    #[arg(long = "as", value_name = "KIND", value_enum)]
    kind: Option<InputKind>,
    /// The file is text with pairs of hexadecimal digits, with or without spaces between them
    #[arg(long)]
    hex: bool,
    /// The most bytes that are shown of each field
    #[arg(
        long,
        value_name = "BYTES",
        default_value_t = 64,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    limit: u32,
    /// When to use colours
    #[arg(
        long,
        visible_alias = "colour",
        value_name = "WHEN",
        value_enum,
        default_value_t = UseColors::Auto
    )]
    color: UseColors,
    /// Width of the output [default: the width of the terminal, or 100]
    #[arg(
        long,
        value_name = "COLUMNS",
        value_parser = clap::value_parser!(u16).range(width::NARROWEST as i64..=1000)
    )]
    width: Option<u16>,
    #[command(flatten)]
    live: live::LiveArgs,
}

pub(super) fn run(args: ExplainArgs) -> Result<ExitCode, Box<dyn Error>> {
    let out = BufWriter::new(io::stdout().lock());
    let columns = args.width.map_or_else(width::columns, usize::from);
    let dump = HexDump::new(out, Colors::new(args.color), columns, args.limit as usize);
    let outcome = if args.source.contains("://") {
        if args.kind.is_some() || args.hex {
            return Err("--as and --hex are only for files: the bytes of a connection are known".into());
        }
        live::run(&args.source, &args.live, dump)
    } else {
        if let Some(option) = args.live.first_used() {
            return Err(format!(
                "{option} is only for URLs, but {:?} is read as the name of a file",
                args.source
            )
            .into());
        }
        capture::run(&args.source, args.kind, args.hex, dump)
    };
    match outcome {
        // The reader of standard output has ended, as with `| head`.
        Err(error) if is_broken_pipe(&*error) => Ok(ExitCode::SUCCESS),
        outcome => outcome,
    }
}

fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
