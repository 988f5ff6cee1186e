//! Every option, from each of the three places where it can be set.

use std::process::Command;

use crate::common::Server;
use crate::common::server::{command, run};
use crate::get;
use crate::process::Folder;

/// An option with three values.
struct Row {
    name: &'static str,
    values: [Value; 3],
}

struct Value {
    /// The value on the command line and in the environment.
    text: &'static str,
    /// The value in the file.
    file: &'static str,
    /// The value in the log line about the options in effect.
    shown: &'static str,
}

fn row(name: &'static str, values: [(&'static str, &'static str, &'static str); 3]) -> Row {
    Row { name, values: values.map(|(text, file, shown)| Value { text, file, shown }) }
}

fn yes_or_no(name: &'static str) -> Row {
    row(name, [("true", "true", "Some(true)"), ("no", "false", "Some(false)"), ("1", "true", "Some(true)")])
}

fn number(name: &'static str) -> Row {
    row(name, [("5", "5", "Some(5)"), ("6", "6", "Some(6)"), ("7", "7", "Some(7)")])
}

fn size(name: &'static str) -> Row {
    row(
        name,
        [
            ("3k", "'3k'", "Some(Size(3072))"),
            ("4KiB", "4096", "Some(Size(4096))"),
            ("5", "5", "Some(Size(5))"),
        ],
    )
}

fn time(name: &'static str) -> Row {
    row(
        name,
        [
            ("2m", "'2m'", "Some(Span(120s))"),
            ("1h", "3600", "Some(Span(3600s))"),
            ("9", "'9s'", "Some(Span(9s))"),
        ],
    )
}

fn rows() -> Vec<Row> {
    vec![
        row(
            "listen",
            [
                ("unix:/no/1", "['unix:/no/1']", "[\"unix:/no/1\"]"),
                ("unix:/no/2,unix:/no/3", "['unix:/no/2', 'unix:/no/3']", "[\"unix:/no/2\", \"unix:/no/3\"]"),
                ("unix:/no/4", "['unix:/no/4']", "[\"unix:/no/4\"]"),
            ],
        ),
        number("threads"),
        yes_or_no("public"),
        row(
            "data",
            [("/a", "'/a'", "Some(\"/a\")"), ("/b", "'/b'", "Some(\"/b\")"), ("/c", "'/c'", "Some(\"/c\")")],
        ),
        row(
            "sync",
            [
                ("always", "'always'", "Some(Always)"),
                ("interval", "'interval'", "Some(Interval)"),
                ("never", "'never'", "Some(Never)"),
            ],
        ),
        number("retain-messages"),
        size("retain-bytes"),
        time("retain-age"),
        number("window-messages"),
        size("window-bytes"),
        time("window-age"),
        row(
            "channel",
            [
                ("a/*?retain=all", "['a/*?retain=all']", "[\"a/*?retain=all\"]"),
                ("b?expire=1h,b/**", "['b?expire=1h', 'b/**']", "[\"b?expire=1h\", \"b/**\"]"),
                ("**", "['**']", "[\"**\"]"),
            ],
        ),
        size("retain-all-bytes"),
        size("max-message"),
        number("max-channels"),
        number("max-connections"),
        time("heartbeat"),
        row(
            "allow-origin",
            [
                ("https://a.example", "['https://a.example']", "[\"https://a.example\"]"),
                ("https://b.example", "['https://b.example']", "[\"https://b.example\"]"),
                ("https://c.example", "['https://c.example']", "[\"https://c.example\"]"),
            ],
        ),
        time("upload-pause"),
        row(
            "files",
            [("/a", "'/a'", "Some(\"/a\")"), ("/b", "'/b'", "Some(\"/b\")"), ("/c", "'/c'", "Some(\"/c\")")],
        ),
        yes_or_no("no-deflate"),
        yes_or_no("compress"),
        yes_or_no("comet"),
        row(
            "playground",
            [("on", "'on'", "Some(On)"), ("off", "'off'", "Some(Off)"), ("on", "'on'", "Some(On)")],
        ),
        time("idle-timeout"),
        time("drain"),
        row(
            "log",
            [
                ("debug", "'debug'", "Some(\"debug\")"),
                ("trace", "'trace'", "Some(\"trace\")"),
                ("tidewire=debug", "'tidewire=debug'", "Some(\"tidewire=debug\")"),
            ],
        ),
        row(
            "log-format",
            [
                ("text", "'text'", "Some(Text)"),
                ("json", "'json'", "Some(Json)"),
                ("text", "'text'", "Some(Text)"),
            ],
        ),
    ]
}

/// Returns a command with one option set in up to three places. The command logs its options. Then
/// it fails to start, because the folder of its socket does not exist.
fn with(
    row: &Row,
    flag: Option<&str>,
    environment: Option<&str>,
    file: Option<&str>,
    folder: &Folder,
) -> Command {
    let mut args = vec!["serve".to_owned()];
    let mut text = String::new();
    if let Some(value) = file {
        text.push_str(&format!("{} = {value}\n", row.name));
    }
    let path = folder.file("options.toml", &text);
    args.extend(["--config".to_owned(), path]);
    for (name, value) in [("listen", "unix:/no/socket"), ("log", "debug"), ("log-format", "text")] {
        if row.name != name {
            args.push(format!("--{name}={value}"));
        }
    }
    if let Some(value) = flag {
        args.push(format!("--{}={value}", row.name));
    }
    let mut command = command(&args.iter().map(String::as_str).collect::<Vec<_>>());
    if let Some(value) = environment {
        command.env(format!("TIDEWIRE_{}", row.name.replace('-', "_").to_uppercase()), value);
    }
    command
}

fn assert_in_effect(row: &Row, command: Command, shown: &str, what: &str) {
    let outcome = run(command);
    let field = format!("{}: {shown}", row.name.replace('-', "_"));
    // With the format json, the quotes are escaped.
    let log = outcome.stderr.replace("\\\"", "\"");
    assert!(log.contains(&field), "{what}: {field} is not in effect: {outcome:?}");
}

#[test]
fn the_order_of_precedence_holds_for_every_option() {
    let folder = Folder::new("options");
    let help = run(command(&["serve", "--help"])).stdout;
    let named: Vec<&str> = help
        .lines()
        // Not a name within a description, at the beginning of a line.
        .filter_map(|line| line.strip_prefix("      --"))
        .map(|line| line.split([' ', '[', '=']).next().unwrap())
        .filter(|name| !["config", "help", "version"].contains(name))
        .collect();
    let rows = rows();
    let tested: Vec<&str> = rows.iter().map(|row| row.name).collect();
    for name in &named {
        assert!(
            tested.contains(name),
            "option {name}: add a row to `rows` in crates/tidewire/tests/http_api/options.rs, in the order \
             of --help"
        );
    }
    assert_eq!(
        tested, named,
        "`rows` (left) has options that --help (right) does not have, or another order"
    );
    for row in &rows {
        let name = row.name;
        // Each value is once in each place.
        for turn in 0..3 {
            let [first, second, third] = [0, 1, 2].map(|n| &row.values[(n + turn) % 3]);
            let only_file = with(row, None, None, Some(first.file), &folder);
            assert_in_effect(row, only_file, first.shown, &format!("{name} in the file"));
            let environment = with(row, None, Some(second.text), Some(first.file), &folder);
            assert_in_effect(
                row,
                environment,
                second.shown,
                &format!("{name} in the environment, over the file"),
            );
            let flag = with(row, Some(third.text), Some(second.text), Some(first.file), &folder);
            assert_in_effect(row, flag, third.shown, &format!("{name} on the command line, over both"));
        }
    }
}

/// A compose file leaves an option out with an empty variable: `TIDEWIRE_PUBLIC: ${PUBLIC:-}`.
#[test]
fn an_empty_variable_is_ignored() {
    let folder = Folder::new("empty");
    for row in &rows() {
        let value = &row.values[0];
        let command = with(row, None, Some(""), Some(value.file), &folder);
        assert_in_effect(row, command, value.shown, &format!("{} is empty in the environment", row.name));
    }
    let mut all = command(&["--listen", "127.0.0.1:0", "--threads", "1"]);
    all.env("TIDEWIRE_CONFIG", "");
    for row in &rows() {
        all.env(format!("TIDEWIRE_{}", row.name.replace('-', "_").to_uppercase()), "");
    }
    let server = Server::spawn(all);
    assert_eq!(server.raw().send(get("/c/a", "")).response().status, 200);
}

#[test]
fn a_flag_without_a_value_means_true() {
    let folder = Folder::new("flags");
    for row in rows().iter().filter(|row| row.values[0].shown == "Some(true)") {
        let mut alone = with(row, None, Some("false"), Some("false"), &folder);
        alone.arg(format!("--{}", row.name));
        assert_in_effect(row, alone, "Some(true)", row.name);
        let mut wrong = command(&[]);
        wrong.arg(format!("--{}=maybe", row.name));
        let outcome = run(wrong);
        assert!(outcome.code == Some(2) && outcome.stderr.contains("maybe"), "{outcome:?}");
    }
}

/// Checks the effect of the options, not only their values.
#[test]
fn false_on_the_command_line_overrides_true_in_the_file() {
    let folder = Folder::new("public");
    let file = folder.file("public.toml", "public = true\ncomet = true\nlisten = ['0.0.0.0:0']\n");
    let mut closed = command(&["--config", &file]);
    closed.env("TIDEWIRE_PUBLIC", "false");
    for command in [closed, command(&["--config", &file, "--public=false"])] {
        let outcome = run(command);
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert!(outcome.stderr.contains("--public"), "{outcome:?}");
    }
    let jsonp = get("/c/j?feed=jsonp&callback=f&wait=0", "");
    let open = Server::spawn(command(&["--config", &file]));
    assert_eq!(open.raw().send(&jsonp).response().status, 200);
    let closed = Server::spawn(command(&["--config", &file, "--comet=false"]));
    assert_eq!(closed.raw().send(&jsonp).response().status, 403);
}

#[test]
fn contradictory_options_are_an_error_at_the_start() {
    let folder = Folder::new("contradictions");
    let long = folder.file("long.toml", "retain-bytes = '1M'\n");
    for (args, says) in [
        (vec!["--log", "inof"], "write a level"),
        (vec!["--log", "tidewrie=debug"], "write a level"),
        (vec!["--log", ""], "write a level"),
        (vec!["--max-message", "2M", "--retain-bytes", "1M"], "raise --retain-bytes"),
        (vec!["--max-message", "2M", "--config", &long], "raise --retain-bytes"),
        (vec!["--retain-bytes", "0"], "at least 1"),
        (vec!["--max-message", "0k"], "at least 1"),
        (vec!["--max-connections", "0"], "at least 1"),
        (vec!["--max-connections", "99999999999"], "fewer connections"),
        (vec!["--threads", "70000"], "at most 1024"),
        (vec!["--heartbeat", "0"], "at least 1 second"),
        (vec!["--heartbeat", "1500ms"], "whole seconds"),
        (vec!["--upload-pause", "999ms"], "at least 1 second"),
        (vec!["--idle-timeout", "0"], "at least 1 second"),
        (vec!["--idle-timeout", "36501d"], "100 years"),
        (vec!["--drain", "99999999999999999999"], "100 years"),
        (vec!["--drain", "1 fortnight"], "30s"),
        (vec!["--retain-bytes", "8MB"], "MiB"),
        (vec!["--retain-bytes", "99999999999G"], "larger than"),
        (vec!["--retain-bytes=-1"], "retain-bytes"),
        (vec!["--sync", "always"], "name a directory with --data"),
        (vec!["--data", "/no", "--sync", "often"], "interval"),
        (vec!["--window-messages", "0"], "at least 1"),
        (vec!["--window-bytes", "0"], "at least 1"),
        (vec!["--retain-all-bytes", "0k"], "at least 1"),
        (vec!["--window-messages", "3", "--retain-messages", "2"], "raise --retain-messages"),
        (vec!["--window-bytes", "2M", "--config", &long], "raise --retain-bytes"),
        (vec!["--window-age", "0", "--retain-age", "1h"], "raise --retain-age"),
        (vec!["--retain-all-bytes", "1M", "--max-message", "2M"], "raise --retain-all-bytes"),
        (vec!["--channel", "room-*"], "whole segment"),
        (vec!["--channel", "**/a"], "whole segment"),
        (vec!["--channel", "a//b?retain=all"], "one / between"),
        (vec!["--channel", "__a/*"], "reserved"),
        (vec!["--channel", "a?keep=all"], "retain-messages"),
        (vec!["--channel", "a?retain=all&retain-age=1h"], "leave out"),
        (vec!["--channel", "a?expire=0"], "above 0"),
        (vec!["--channel", "a?expire-at=2027-01-31"], "RFC 3339"),
        (vec!["--channel", "a/**,a/b?retain=all"], "put 'a/b?retain=all' first"),
        (vec!["--channel", "a/b", "--channel", "*/b", "--channel", "x/b"], "'*/b' before it"),
    ] {
        let mut all = vec!["--listen", "127.0.0.1:0"];
        all.extend(&args);
        let outcome = run(command(&all));
        assert!(matches!(outcome.code, Some(1 | 2)), "{args:?}: {outcome:?}");
        assert!(
            outcome.stderr.contains(says) && !outcome.stderr.contains("panicked"),
            "{args:?}: {outcome:?}"
        );
        assert_eq!(outcome.stdout, "", "{args:?}");
    }
}

/// Returns the command with a limit on file descriptors.
#[cfg(target_os = "linux")]
fn limited(soft: u64, hard: u64, args: &[&str]) -> Command {
    let inner = command(args);
    let mut shell = command(&[]);
    let script = format!("ulimit -Sn {soft} && ulimit -Hn {hard} && exec \"$0\" \"$@\"");
    let mut limited = Command::new("sh");
    limited.arg("-c").arg(script).arg(inner.get_program()).args(inner.get_args());
    for (name, value) in shell.env("LC_ALL", "C").get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    use std::process::Stdio;
    limited.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    limited
}

#[cfg(target_os = "linux")]
#[test]
fn only_an_explicit_connection_limit_can_exceed_the_descriptor_limit() {
    // The default adapts to every limit.
    for (soft, hard) in [(1024, 1024), (64, 64), (64, 4096)] {
        let server = Server::spawn(limited(soft, hard, &["--listen", "127.0.0.1:0", "--threads", "1"]));
        assert_eq!(server.raw().send(get("/c/a", "")).response().status, 200, "{soft} {hard}");
    }
    let asking = ["--listen", "127.0.0.1:0", "--threads", "1", "--max-connections", "1000"];
    let outcome = run(limited(512, 512, &asking));
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains("ulimit -n") && outcome.stderr.contains("512"), "{outcome:?}");
    // The server raises the soft limit as far as necessary, so all connections are accepted.
    let server = Server::spawn(limited(64, 4096, &asking));
    let mut all: Vec<_> = (0..200).map(|_| server.raw()).collect();
    for raw in &mut all {
        assert_eq!(raw.send(get("/c/a", "")).response().status, 200);
    }
}

#[test]
fn variables_that_are_not_options_are_reported_in_one_line() {
    let mut typo = command(&["--listen", "127.0.0.1:0"]);
    typo.env("TIDEWIRE_PORT_8080_TCP", "tcp://10.0.0.1:8080")
        .env("TIDEWIRE_TREADS", "2")
        .env("TIDEWIRE_THREADS", "1");
    let server = Server::spawn(typo);
    assert_eq!(server.raw().send(get("/c/a", "")).response().status, 200);
    let log = server.log_to_stop();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("WARN")).collect();
    assert_eq!(lines.len(), 1, "{log}");
    assert!(lines[0].contains("TIDEWIRE_PORT_8080_TCP") && lines[0].contains("TIDEWIRE_TREADS"), "{log}");
    assert!(!lines[0].contains("TIDEWIRE_THREADS"), "{log}");
    let quiet = Server::start(&[]);
    assert_eq!(quiet.raw().send(get("/c/a", "")).response().status, 200);
    let log = quiet.log_to_stop();
    assert!(!log.contains("WARN"), "{log}");
}
