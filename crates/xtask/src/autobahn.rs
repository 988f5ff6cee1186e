//! `cargo xtask autobahn`: the Autobahn test suite against `tidewire-ws`, as a server and as a
//! client.
//!
//! The suite is installed from PyPI into `target/autobahn/venv`, and ported to Python 3 there. Its
//! verdict on every case is compared with `autobahn/expected.txt`. A better verdict is a difference
//! too.

use crate::programs;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};
use tidewire_testkit::run::{Result, ask, cargo, program, read, root, run as start, target, write};

/// Which end and which cases to test.
#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// Only the server.
    #[arg(long, conflicts_with = "client")]
    server: bool,
    /// Only the client.
    #[arg(long)]
    client: bool,
    /// Run a subset that takes seconds: no large messages, and only a few of the compression cases,
    /// which have thousands of messages. It uses the debug build.
    #[arg(long)]
    short: bool,
    /// Only these cases: `6.4.*,12.1.1`.
    #[arg(long, value_delimiter = ',', conflicts_with = "short")]
    cases: Vec<String>,
    /// How many processes of the suite divide the cases.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Write the verdicts to expected.txt.
    #[arg(long)]
    bless: bool,
}

pub(crate) fn run(args: &Args) -> Result {
    suite()?;
    build(args)?;
    compare(args)
}

/// Tests both ends with the built programs, and compares the verdicts with the expected ones.
fn compare(args: &Args) -> Result {
    let mut expected = load()?;
    let mut problems = Vec::new();
    for end in [End::Server, End::Client] {
        if (args.server && end == End::Client) || (args.client && end == End::Server) {
            continue;
        }
        let cases = choose(args, &expected);
        let mut verdicts = examine(end, &cases, args)?;
        for _ in 0..REPEATS {
            let cut = cut(end, &verdicts, &expected);
            if args.bless || cut.is_empty() {
                break;
            }
            println!("    {end:?}: the connection was cut, so these run again: {}", cut.join(" "));
            verdicts.extend(examine(end, &cut, args)?);
        }
        tell(end, &verdicts);
        for (case, verdict) in verdicts {
            let slot = expected.entry(case.clone()).or_default();
            let wanted = if end == End::Server { &mut slot.server } else { &mut slot.client };
            if args.bless {
                *wanted = verdict;
            } else if *wanted != verdict {
                problems.push(format!("{end:?} {case}: expected {wanted}, got {verdict}"));
            }
        }
    }
    if args.bless {
        return save(&expected);
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}

/// Runs the short subset for `cargo xtask check`, with the installed suite and the built programs.
pub(crate) fn short() -> Result {
    compare(&Args { short: true, jobs: 3, ..Args::default() })
}

/// Installs the suite if it is not installed.
pub(crate) fn suite() -> Result {
    let python = python().ok_or("the suite needs python3 with its venv module (Debian: python3-venv)")?;
    install(&python)
}

/// Builds the programs. The short subset uses the debug build, which the check needs anyway.
fn build(args: &Args) -> Result {
    if args.short {
        return programs::build();
    }
    let release =
        ["build", "--release", "--quiet", "--package", "tidewire-ws", "--all-features", "--examples"];
    start(&mut cargo(&release))
}

/// How often cases run again whose connection was cut. The suite itself cuts a connection after a
/// second, which may be too early on a busy machine.
const REPEATS: usize = 2;

/// Which of our ends is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Server,
    Client,
}

/// The expected verdicts of a case for each end: a word for the messages, and one for the closing.
#[derive(Default)]
struct Expected {
    server: String,
    client: String,
}

impl Expected {
    fn of(&self, end: End) -> &str {
        match end {
            End::Server => &self.server,
            End::Client => &self.client,
        }
    }
}

/// The number of a case, such as 6.4.1.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Case(Vec<u32>);

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let numbers: Vec<_> = self.0.iter().map(u32::to_string).collect();
        f.write_str(&numbers.join("."))
    }
}

impl Case {
    fn parse(text: &str) -> Option<Self> {
        text.split('.').map(|n| n.parse().ok()).collect::<Option<_>>().map(Self)
    }

    /// Whether the short subset has this case: none with the megabytes of 9, and few with the
    /// thousands of messages of 12 and 13.
    fn is_short(&self) -> bool {
        match self.0.first() {
            Some(9) => false,
            Some(12 | 13) => [[12, 1, 1], [13, 1, 1], [13, 7, 1]].iter().any(|few| self.0 == few),
            _ => true,
        }
    }
}

/// The cases whose messages were right, but whose connection was cut unexpectedly. A wrong message
/// is a fault, however rarely it comes.
fn cut(end: End, verdicts: &BTreeMap<Case, String>, expected: &BTreeMap<Case, Expected>) -> Vec<String> {
    let is_cut = |case: &Case, verdict: &str| {
        let wanted = expected.get(case).map_or("", |known| known.of(end));
        let messages = wanted.split(' ').next().unwrap_or_default();
        wanted != verdict && verdict.strip_suffix(" UNCLEAN") == Some(messages)
    };
    let cases = verdicts.iter().filter(|(case, verdict)| is_cut(case, verdict));
    cases.map(|(case, _)| case.to_string()).collect()
}

fn choose(args: &Args, expected: &BTreeMap<Case, Expected>) -> Vec<String> {
    let all = || expected.keys();
    match (args.short, args.cases.is_empty()) {
        (true, _) => all().filter(|case| case.is_short()).map(Case::to_string).collect(),
        (false, false) => args.cases.clone(),
        (false, true) if expected.is_empty() => vec!["*".into()],
        (false, true) => all().map(Case::to_string).collect(),
    }
}

/// Runs the cases in several processes of the suite, and collects the verdicts.
fn examine(end: End, cases: &[String], args: &Args) -> Result<BTreeMap<Case, String>> {
    let jobs = args.jobs.max(1);
    let folder = folder().join(format!("{end:?}").to_lowercase());
    let _ = std::fs::remove_dir_all(&folder);
    let built = target().join(if args.short { "debug/examples" } else { "release/examples" });
    let server = (end == End::Server).then(|| start_server(&built)).transpose()?;
    let mut running = Vec::new();
    for job in 0..jobs {
        let dealt: Vec<_> = cases.iter().skip(job).step_by(jobs).cloned().collect();
        if dealt.is_empty() {
            continue;
        }
        let part = folder.join(format!("part{job}"));
        running.push(match &server {
            Some(server) => (part.clone(), fuzzing_client(&part, &server.address, &dealt)?, None),
            None => {
                let (suite, client) = fuzzing_server(&built, &part, &dealt)?;
                (part, client, Some(suite))
            }
        });
    }
    let mut verdicts = BTreeMap::new();
    for (part, mut process, suite) in running {
        process.wait()?;
        // As a server, the suite writes its report when the client asks for it, and runs until it
        // is stopped.
        drop(suite);
        verdicts.extend(report(&part.join("index.json"))?);
    }
    Ok(verdicts)
}

/// Prints one line for each verdict, with the names of its cases if they are few.
fn tell(end: End, verdicts: &BTreeMap<Case, String>) {
    let mut kinds: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (case, verdict) in verdicts {
        kinds.entry(verdict).or_default().push(case.to_string());
    }
    for (kind, cases) in kinds {
        let names = if cases.len() <= 20 { format!(": {}", cases.join(" ")) } else { String::new() };
        println!("    {end:?}: {} cases {kind}{names}", cases.len());
    }
}

/// A process that is killed when this value is dropped.
struct Running(Child, String);

impl Running {
    fn spawn(command: &mut Command) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        command.spawn().map(|child| Self(child, name.clone())).map_err(|error| format!("{name}: {error}"))
    }

    fn wait(&mut self) -> Result {
        match self.0.wait() {
            Ok(status) if status.success() => Ok(()),
            other => Err(format!("{} failed: {other:?}; see the logs in {}", self.1, folder().display())),
        }
    }

    /// Waits until the address accepts connections. Returns false if the process ends first, or if
    /// it takes too long.
    fn listens(&mut self, address: SocketAddr) -> bool {
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(30) && matches!(self.0.try_wait(), Ok(None)) {
            if TcpStream::connect(address).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        false
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Server {
    _process: Running,
    address: String,
}

fn start_server(built: &Path) -> Result<Server> {
    let mut command = program(&built.join("echo_server").to_string_lossy(), &["127.0.0.1:0"]);
    let mut process = Running::spawn(command.stdout(Stdio::piped()))?;
    let stdout = process.0.stdout.take().ok_or("the server has no output")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).map_err(|error| format!("the server: {error}"))?;
    let address = line.trim().strip_prefix("listening on ").ok_or("the server did not print its address")?;
    Ok(Server { address: address.into(), _process: process })
}

fn fuzzing_client(part: &Path, address: &str, cases: &[String]) -> Result<Running> {
    let spec = format!(
        r#"{{"outdir":"{}","options":{{"failByDrop":false}},"servers":[{{"agent":"tidewire","url":"{address}"}}],
        "cases":{cases:?},"exclude-cases":[],"exclude-agent-cases":{{}}}}"#,
        part.display()
    );
    wstest("fuzzingclient", part, &spec)
}

/// Starts the suite as a server, and our client.
fn fuzzing_server(built: &Path, part: &Path, cases: &[String]) -> Result<(Running, Running)> {
    for _ in 0..ATTEMPTS {
        let address = free_address()?;
        let spec = format!(
            r#"{{"outdir":"{}","options":{{"failByDrop":false}},"url":"ws://{address}",
            "cases":{cases:?},"exclude-cases":[],"exclude-agent-cases":{{}}}}"#,
            part.display()
        );
        let mut suite = wstest("fuzzingserver", part, &spec)?;
        if suite.listens(address) {
            let client = Running::spawn(
                program(
                    &built.join("autobahn_client").to_string_lossy(),
                    &[&address.to_string(), "tidewire"],
                )
                .stdout(Stdio::null()),
            )?;
            return Ok((suite, client));
        }
    }
    Err(format!("the suite does not accept connections; see {}", part.display()))
}

/// Returns a free address, because the suite does not support port 0. Another program may use the
/// port before the suite starts. Most likely this is a client, and clients get ports from 32768 on.
/// So this port is below 32768.
fn free_address() -> Result<SocketAddr> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = std::process::id() as u16 % 10_000;
    (0..10_000)
        .map(|_| 20_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000)
        .map(|port| SocketAddr::from(([127, 0, 0, 1], port)))
        .find(|address| TcpListener::bind(address).is_ok())
        .ok_or_else(|| "no port between 20000 and 30000 is free for the suite".into())
}

const ATTEMPTS: usize = 5;

fn wstest(mode: &str, part: &Path, spec: &str) -> Result<Running> {
    let file = part.join("spec.json");
    write(&file, spec.as_bytes())?;
    let log = std::fs::File::create(part.join("log.txt"))
        .map_err(|error| format!("{}: {error}", part.display()))?;
    let mut command =
        program(&venv().join("bin/wstest").to_string_lossy(), &["--mode", mode, "--webport", "0"]);
    let errors = std::fs::File::create(part.join("errors.txt"))
        .map_err(|error| format!("{}: {error}", part.display()))?;
    Running::spawn(command.arg("--spec").arg(file).stdout(log).stderr(errors))
}

/// Reads the verdicts from the report of the suite: two texts for each case, in JSON.
fn report(path: &Path) -> Result<BTreeMap<Case, String>> {
    let text = read(path)?;
    let json: serde_json::Value =
        serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
    let agents = json.as_object().ok_or_else(|| format!("{} is not a report", path.display()))?;
    let mut verdicts = BTreeMap::new();
    for (name, verdict) in agents.values().filter_map(|agent| agent.as_object()).flatten() {
        let part =
            |key: &str| verdict.get(key).and_then(|value| value.as_str()).unwrap_or("MISSING").to_owned();
        let case = Case::parse(name).ok_or_else(|| format!("{name} is not the number of a case"))?;
        verdicts.insert(case, format!("{} {}", part("behavior"), part("behaviorClose")));
    }
    Ok(verdicts)
}

/// Reads the expected verdicts. Each line is `case: server; client`.
fn load() -> Result<BTreeMap<Case, Expected>> {
    let path = expected_path();
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    let mut all = BTreeMap::new();
    for line in read(&path)?.lines().filter(|line| !line.starts_with('#')) {
        let entry = line.split_once(": ").and_then(|(case, verdicts)| {
            let (server, client) = verdicts.split_once("; ")?;
            Some((Case::parse(case)?, Expected { server: server.into(), client: client.into() }))
        });
        let (case, expected) =
            entry.ok_or_else(|| format!("{}: cannot read the line {line:?}", path.display()))?;
        all.insert(case, expected);
    }
    Ok(all)
}

fn save(expected: &BTreeMap<Case, Expected>) -> Result {
    let mut text = String::from(
        "# The verdicts of the Autobahn test suite on tidewire-ws: each case, as a server; as a client.\n\
         # The first word is for the messages, the second for the closing.\n",
    );
    for (case, Expected { server, client }) in expected {
        text.push_str(&format!("{case}: {server}; {client}\n"));
    }
    write(&expected_path(), text.as_bytes())
}

fn python() -> Option<String> {
    let names = [std::env::var("PYTHON").ok(), Some("python3".into())];
    names
        .into_iter()
        .flatten()
        .find(|name| ask(&mut program(name, &["-c", "import venv, ensurepip"])).is_some())
}

/// Installs the suite with the versions of the libraries that it needs, and ports it to Python 3.
fn install(python: &str) -> Result {
    let venv = venv();
    let done = venv.join("ported");
    if done.exists() {
        return Ok(());
    }
    println!("    installing the Autobahn test suite into {}", venv.display());
    start(program(python, &["-m", "venv"]).arg(&venv))?;
    let pip = venv.join("bin/pip").to_string_lossy().into_owned();
    let quiet = ["install", "--quiet", "--disable-pip-version-check"];
    start(program(&pip, &quiet).args(PACKAGES))?;
    let own = venv.join("bin/python").to_string_lossy().into_owned();
    if ask(&mut program(&own, &["-c", "import lib2to3"])).is_none() {
        start(program(&pip, &quiet).arg("fissix"))?;
    }
    start(&mut program(&own, &["crates/xtask/autobahn/port_autobahn.py"]))?;
    write(&done, b"")
}

const PACKAGES: &[&str] = &[
    "autobahntestsuite==25.10.1",
    "autobahn==0.10.9",
    "txaio==2.1.0",
    "six==1.17.0",
    "wsaccel==0.6.7",
    "twisted==26.10.0",
    "jinja2==3.1.6",
    "pyopenssl==26.4.0",
    "service_identity",
    "setuptools<81",
];

fn folder() -> PathBuf {
    target().join("autobahn")
}

fn venv() -> PathBuf {
    folder().join("venv")
}

fn expected_path() -> PathBuf {
    root().join("crates/xtask/autobahn/expected.txt")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_a_cut_connection_is_tried_again() {
        let case = Case::parse("6.6.2").unwrap();
        let again = |wanted: &str, verdict: &str| {
            let known = Expected { server: wanted.into(), client: String::new() };
            let (expected, verdicts) =
                ([(case.clone(), known)].into(), [(case.clone(), verdict.into())].into());
            !cut(End::Server, &verdicts, &expected).is_empty()
        };
        assert!(again("OK OK", "OK UNCLEAN"));
        assert!(!again("OK OK", "OK OK"));
        assert!(!again("OK OK", "FAILED OK"));
        assert!(!again("OK OK", "FAILED UNCLEAN"));
        assert!(!again("OK OK", "OK WRONG CODE"));
        assert!(!again("OK UNCLEAN", "OK OK"));
    }
}
