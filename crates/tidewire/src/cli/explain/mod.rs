//! `tidewire explain`.

mod guess;
mod live;
mod page;
mod paint;
mod tape;
mod trace;

use std::error::Error;
use std::io::{self, BufWriter, IsTerminal, Read, StdoutLock};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use tidewire::explain::{Annotator, Direction, Limits, Refusal};

use super::units;
use guess::{As, guess};
use page::Page;
use paint::{Color, Paint};
use trace::Trace;

#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  \
    tidewire explain 'http://127.0.0.1:8080/c/demo?feed=sse' --messages 2\n  \
    tidewire explain ws://127.0.0.1:8080/c/demo --subprotocol tidewire.v1\n  \
    printf 'GET / HTTP/1.1\\r\\nHost: a\\r\\nHost: b\\r\\n\\r\\n' | tidewire explain\n  \
    curl -siN --raw http://127.0.0.1:8080/c/demo | tidewire explain\n  \
    curl -sN --raw -o /dev/null --trace - http://127.0.0.1:8080/c/demo | tidewire explain\n  \
    echo '81 85 37 fa 21 3d 7f 9f 4d 51 58' | tidewire explain --hex\n\n\
    Exit status:\n  0    all of it was accepted\n  1    a byte was refused, or the input cannot be read or the server be reached\n  \
    2    wrong usage\n  130  ctrl-c")]
pub(crate) struct ExplainArgs {
    /// A file, - for standard input, or a URL that starts with http:// or ws://
    #[arg(value_name = "FILE|URL", default_value = "-")]
    source: String,
    /// What the bytes of a file are; without it, it is guessed from the first of them
    #[arg(long = "as", value_name = "KIND", value_enum)]
    kind: Option<As>,
    /// The file is hexadecimal text: pairs of digits, blanks between them as you like
    #[arg(long)]
    hex: bool,
    /// Bytes that are shown of each field
    #[arg(long, value_name = "BYTES", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Colours; auto is yes on a terminal without NO_COLOR
    #[arg(long, visible_alias = "colour", value_name = "WHEN", value_enum, default_value_t = Color::Auto)]
    color: Color,
    /// Columns of the page [default: the terminal's, or 100]
    #[arg(long, value_name = "COLUMNS", value_parser = clap::value_parser!(u16).range(paint::NARROWEST as i64..=1000))]
    width: Option<u16>,
    #[command(flatten)]
    live: live::LiveArgs,
}

/// Where the page goes. It is flushed where something may be waited for: a dump of a file has thousands of lines between two reads.
type Out = BufWriter<StdoutLock<'static>>;

pub(super) fn run(args: ExplainArgs) -> Result<ExitCode, Box<dyn Error>> {
    let paint = Paint::new(args.color);
    let columns = args.width.map_or_else(paint::columns, usize::from);
    let page =
        |both| Page::new(BufWriter::new(io::stdout().lock()), paint, columns, args.limit as usize, both);
    let outcome = if args.source.contains("://") {
        if args.kind.is_some() || args.hex {
            return Err("--as and --hex are for files: on a connection it is known what the bytes are".into());
        }
        live::run(&args.source, &args.live, page(true))
    } else {
        if let Some(option) = args.live.used() {
            return Err(format!("{option} is for URLs; {:?} is taken for a file", args.source).into());
        }
        file(&args, page(false))
    };
    match outcome {
        // Nobody reads standard output any more, as behind `| head`.
        Err(error) if is_closed(&*error) => Ok(ExitCode::SUCCESS),
        outcome => outcome,
    }
}

fn is_closed(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Explains a capture of one direction, as it comes.
fn file(args: &ExplainArgs, mut page: Page<Out>) -> Result<ExitCode, Box<dyn Error>> {
    let mut input = open(&args.source)?;
    let mut reader = Hex::new(args.hex);
    let mut buffer = vec![0; READ];
    let mut start = Vec::new();
    let mut complete = false;
    // Until it is known what the bytes are.
    let (kind, why) = loop {
        let known = match args.kind {
            Some(kind) => Some((kind, "--as says so")),
            None => guess(&start, complete),
        };
        match known {
            Some(known) => break known,
            None => complete = !reader.read(&mut input, &mut buffer, &mut start)?,
        }
    };
    match (args.kind, why) {
        _ if start.is_empty() => page.say("the input is empty")?,
        (Some(_), _) => {}
        (None, why) => page.say(&format!("taken for {}, since {why}; --as says otherwise", kind.name()))?,
    }
    let (from, direction) = kind.start();
    let mut trace = (kind == As::CurlTrace).then(Trace::default);
    if trace.is_some() {
        page.both_ways();
    }
    let mut annotator = Annotator::starting_with(from, Limits::default());
    let mut bytes = start;
    loop {
        let pieces = match &mut trace {
            Some(trace) => trace.push(&bytes),
            None => vec![(direction, std::mem::take(&mut bytes))],
        };
        for (direction, piece) in pieces {
            page.push(direction, &piece);
            let notes = annotator.push(direction, &piece);
            page.notes(&notes)?;
        }
        bytes.clear();
        let refused = annotator.refusal(direction).is_some();
        if complete
            || refused && page.total(direction) > TAIL
            || !reader.read(&mut input, &mut buffer, &mut bytes)?
        {
            break;
        }
    }
    if trace.is_some() || direction == Direction::Up {
        page.notes(&annotator.finish(Direction::Up))?;
    }
    if direction == Direction::Down {
        page.notes(&annotator.finish(Direction::Down))?;
    }
    let (sent, received) = (page.total(Direction::Up), page.total(Direction::Down));
    let all = match trace {
        Some(_) => format!("{sent} bytes sent, {received} received"),
        None => format!("all {} bytes", sent + received),
    };
    match annotator.refusal(Direction::Up).or(annotator.refusal(Direction::Down)) {
        None => {
            page.accepted(&all)?;
            Ok(ExitCode::SUCCESS)
        }
        // A capture that ends between two messages is no fault of who sent them.
        Some(refusal) if refusal.kind == "NoClose" => {
            page.accepted(&format!("{all}; there is no close frame, for which an API reports 1006"))?;
            Ok(ExitCode::SUCCESS)
        }
        Some(refusal) => {
            page.refused(refusal, hint(refusal))?;
            Ok(ExitCode::FAILURE)
        }
    }
}

/// What often lies behind a refusal, or why it matters.
fn hint(refusal: &Refusal) -> Option<&'static str> {
    let is = |text: &str| refusal.kind.starts_with(text);
    let up = refusal.direction == Direction::Up;
    Some(match refusal.kind.as_str() {
        "Syntax(Target)" if up && refusal.offset <= 2 => {
            "is this what curl -v prints? curl --trace - --raw has every byte of both directions, and is understood"
        }
        "Syntax(LineEnd)" => "HTTP ends each line with CR LF (\\r\\n); many editors and echo write LF alone",
        "Syntax(Chunked(Size))" if !up => {
            "curl -i takes the chunked coding off what it saves; curl -i --raw leaves it on"
        }
        "Rule(LengthAndCoding)"
        | "Rule(LengthRepeated)"
        | "Rule(LengthInvalid)"
        | "Rule(CodingRepeated)"
        | "Rule(CodingInvalid)"
        | "Rule(CodingInHttp10)" => {
            "two recipients could end this message at two different bytes: that is how requests are smuggled"
        }
        "Rule(HostRepeated)" | "Rule(HostInvalid)" => "two recipients could take it for two different sites",
        "Syntax(SpaceBeforeColon)" | "Syntax(FoldedLine)" => {
            "recipients disagree about such lines, so a field could be hidden from one of them"
        }
        "Unmasked" => {
            "masking keeps a web page from choosing the bytes on the wire, which an old proxy could take for a request"
        }
        "ReservedBits" => {
            "RSV1 marks a compressed message; whether that was agreed on is in the handshake, which has to come first"
        }
        "Syntax(Truncated)" | "UnexpectedEnd" | "Truncated" => {
            "more was announced than there is; a capture that was cut off looks like this too"
        }
        _ if is("Syntax(Chunked(") => {
            "where a chunk ends wrongly, nobody knows where the next message starts"
        }
        _ => return None,
    })
}

fn open(source: &str) -> Result<Box<dyn Read>, Box<dyn Error>> {
    if source == "-" {
        let input = io::stdin();
        if input.is_terminal() {
            return Err(
                "no input: name a file or a URL, or pipe bytes in; tidewire explain --help has examples"
                    .into(),
            );
        }
        return Ok(Box::new(input.lock()));
    }
    match std::fs::File::open(source) {
        Ok(file) if file.metadata().is_ok_and(|data| data.is_dir()) => {
            Err(format!("{source} is a directory: name a file with the bytes to be explained").into())
        }
        Ok(file) => Ok(Box::new(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(format!(
            "there is no file {source}; a URL starts with http:// or ws://, and - is standard input"
        )
        .into()),
        Err(error) => Err(format!("{source} cannot be read: {error}").into()),
    }
}

/// Reads bytes, or pairs of hexadecimal digits.
struct Hex {
    on: bool,
    half: Option<u8>,
}

impl Hex {
    const fn new(on: bool) -> Self {
        Self { on, half: None }
    }

    /// Appends what one read gives; `false` at the end.
    fn read(
        &mut self,
        input: &mut dyn Read,
        buffer: &mut [u8],
        out: &mut Vec<u8>,
    ) -> Result<bool, Box<dyn Error>> {
        let n = loop {
            match input.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => break outcome?,
            }
        };
        if !self.on {
            out.extend_from_slice(&buffer[..n]);
            return Ok(n > 0);
        }
        for &byte in &buffer[..n] {
            if byte.is_ascii_whitespace() {
                continue;
            }
            let Some(digit) = char::from(byte).to_digit(16) else {
                return Err(format!(
                    "--hex: {:?} is no hexadecimal digit; only pairs of digits and blanks are read",
                    char::from(byte)
                )
                .into());
            };
            let digit = digit as u8;
            match self.half.take() {
                Some(high) => out.push(high << 4 | digit),
                None => self.half = Some(digit),
            }
        }
        if n == 0 && self.half.is_some() {
            return Err("--hex: the last byte has one digit only".into());
        }
        Ok(n > 0)
    }
}

/// Bytes of one read.
const READ: usize = 64 * 1024;
/// Behind a refusal nothing is read, but a small file is counted to its end.
const TAIL: u64 = 1 << 20;

/// A time on the command line in which something can happen.
fn time(text: &str) -> Result<Duration, String> {
    match units::time(text)? {
        Duration::ZERO => Err("write a time of more than 0".to_owned()),
        time => Ok(time),
    }
}
