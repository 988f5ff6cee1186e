//! Lists that must name the same things: in the server, in its documents, in the clients, and in
//! the tests. When something is added to one place, a message names the next place and what to do.
//! The order of all steps is in `docs/ARCHITECTURE.md`, "Where to add new features".
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod bounds;
mod lists;
mod text;

use common::{Feed, Server};
use text::{between, code_spans, lines_of, read, section, section_of, table};

const HTTP_API: &str = "docs/http-api.md";
const TRANSPORTS: &str = "docs/transports.md";

/// The names of all feeds.
fn catalogue() -> Vec<String> {
    common::feeds::catalogue(&Server::start(&["--threads", "1"]))
}

/// A row of the table of feeds in `docs/http-api.md`.
struct Row {
    /// The cell that names the feed: its name in backticks, or the two kinds of WebSocket.
    feed: String,
    technique: String,
    /// The heading of the section that describes it, as in a link.
    anchor: String,
    accept: String,
    heartbeat: String,
    /// What `tidewire-client`, `tidewire.js` and the playground call it, or `no`.
    clients: [String; 3],
    reason: String,
}

fn rows() -> Vec<Row> {
    let text = read(HTTP_API);
    let rows = table(section(&text, "## The feeds"), "feed");
    rows.into_iter()
        .map(|cells| {
            let [feed, link, accept, heartbeat, client, js, playground, reason] = &cells[..] else {
                panic!("{cells:?}")
            };
            let (technique, anchor) = link.trim_matches(['[', ')']).split_once("](#").expect(link);
            Row {
                feed: feed.clone(),
                technique: technique.to_owned(),
                anchor: anchor.to_owned(),
                accept: accept.clone(),
                heartbeat: heartbeat.clone(),
                clients: [client, js, playground].map(|name| name.trim_matches('`').to_owned()),
                reason: reason.clone(),
            }
        })
        .collect()
}

/// The name of the feed in backticks, as in the table.
fn code(name: &str) -> String {
    format!("`{name}`")
}

/// Feeds that the law does not read, and why.
const NOT_IN_THE_LAW: [(&str, &str); 1] = [(
    "raw",
    "its bytes carry no cursors. tests/every_feed.rs continues with it after each other feed, and \
     tests/raw.rs is about it",
)];

#[test]
fn the_law_reads_every_feed() {
    let catalogue = catalogue();
    let read: Vec<_> = Feed::ALL.into_iter().filter_map(Feed::name).collect();
    for name in &catalogue {
        assert!(
            read.contains(&name.as_str()) || NOT_IN_THE_LAW.iter().any(|(other, _)| other == name),
            "feed {name}: add a reader to crates/tidewire/tests/common/feeds.rs (macro feeds!, Feed::name, \
             open), or a reason to NOT_IN_THE_LAW in crates/tidewire/tests/documented/main.rs"
        );
    }
    for name in read.iter().chain(NOT_IN_THE_LAW.iter().map(|(name, _)| name)) {
        assert!(catalogue.iter().any(|known| known == name), "the server has no feed {name}");
        assert!(!(read.contains(name) && NOT_IN_THE_LAW.iter().any(|(other, _)| other == name)), "{name}");
    }
}

#[test]
fn the_table_of_feeds_has_every_feed() {
    let catalogue = catalogue();
    let rows = rows();
    for name in &catalogue {
        assert!(
            rows.iter().any(|row| row.feed == code(name)),
            "feed {name}: add a row to the table of {HTTP_API}, \"The feeds\""
        );
    }
    for row in &rows {
        let is_known = catalogue.iter().any(|name| row.feed == code(name));
        let is_websocket = row.feed.starts_with("WebSocket, ");
        assert!(is_known || is_websocket, "{HTTP_API}: the server has no feed {}", row.feed);
    }
}

#[test]
fn every_feed_is_described() {
    let text = read(HTTP_API);
    let line = lines_of(&text, "&feed=").next().expect("the line of the parameter feed");
    let documented: Vec<_> = line.trim().trim_start_matches("&feed=").split('|').collect();
    let feeds = section(&text, "## The feeds");
    for name in catalogue() {
        assert!(
            documented.contains(&name.as_str()),
            "feed {name}: add it to the line `&feed=…` of {HTTP_API}, \"Read\""
        );
        let Some(row) = rows().into_iter().find(|row| row.feed == code(&name)) else {
            panic!("feed {name}: add a row to the table of {HTTP_API}, \"The feeds\"");
        };
        let about = section_of(feeds, &row.anchor).unwrap_or_else(|| {
            panic!("feed {name}: {HTTP_API} has no section `### …` with the anchor #{}", row.anchor)
        });
        assert!(
            about.contains(&format!("feed={name}")),
            "feed {name}: the section #{} of {HTTP_API} must say what feed={name} sends",
            row.anchor
        );
    }
}

#[test]
fn every_feed_says_how_it_reports_a_loss() {
    let text = read(HTTP_API);
    let heading = "When a cursor cannot be continued";
    let losses = code_spans(section(&text, &format!("## {heading}")));
    for name in catalogue() {
        assert!(
            losses.contains(&name.as_str()),
            "feed {name}: say in {HTTP_API}, \"{heading}\", how it reports a `gap` or `reset`"
        );
    }
}

#[test]
fn accept_chooses_the_feed_that_the_table_names() {
    let server = Server::start(&["--threads", "1", "--comet"]);
    let media_type = |target: &str, fields: &str| {
        let request = format!("HEAD /c/a{target} HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
        let response = server.raw().send(request).head_response();
        let whole = response.field("content-type").unwrap();
        whole.split(';').next().unwrap().to_owned()
    };
    let text = read(HTTP_API);
    let choice = between(&text, "**The feed.**", "**Parameters.**");
    for name in common::feeds::catalogue(&server) {
        let sent = media_type(&format!("?feed={name}&callback=f&wait=0"), "");
        // A long poll has the same type as a short one, which is also the default.
        let is_chosen = name != "longpoll" && media_type("", &format!("Accept: {sent}\r\n")) == sent;
        let row = rows().into_iter().find(|row| row.feed == code(&name));
        let listed =
            row.unwrap_or_else(|| panic!("feed {name}: add a row to the table of {HTTP_API}")).accept;
        let expected = if is_chosen { code(&sent) } else { "no".to_owned() };
        assert_eq!(
            listed, expected,
            "feed {name}: the server (right) and the column `Accept` of {HTTP_API}, \"The feeds\", differ"
        );
        assert!(
            !is_chosen || name == "poll" || code_spans(choice).iter().any(|code| code.ends_with(&sent)),
            "feed {name}: add `{sent}` to the list of {HTTP_API}, \"Read\", **The feed.**"
        );
    }
}

#[test]
fn the_list_of_compressed_feeds_is_right() {
    let server = Server::start(&["--threads", "1", "--comet", "--compress"]);
    let text = read(HTTP_API);
    let list = between(&text, "**Compression.** With `--compress`", "Compression is off by default");
    let mut listed: Vec<_> =
        code_spans(list).into_iter().filter_map(|code| code.strip_prefix("feed=")).collect();
    for name in common::feeds::catalogue(&server) {
        let request = format!(
            "GET /c/a?feed={name}&callback=f&wait=0 HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n"
        );
        let response = server.raw().send(request).head_response();
        assert_eq!(response.status, 200, "{name}: {response:?}");
        let is_compressed = response.field("content-encoding") == Some("gzip");
        assert_eq!(
            listed.contains(&name.as_str()),
            is_compressed,
            "feed {name}: {HTTP_API} (left), \"Read\", **Compression.** and the server (right) differ. \
             Correct the list `feed=…` there; also the same sentence in crates/hub/src/settings.rs: compress \
             and in the help of --compress in crates/tidewire/src/cli/options.rs"
        );
        listed.retain(|other| *other != name);
    }
    assert_eq!(listed, [""; 0], "{HTTP_API}, **Compression.**: the server has no such feed");
}

/// The unit tests of the hub write the heartbeats and compare the table in `feeds/mod.rs`.
#[test]
fn the_heartbeat_of_every_feed_is_described() {
    let source = read("crates/hub/src/feeds/mod.rs").replace("//! |", "|");
    let rows = rows();
    for cells in table(&source, "`feed=`") {
        let (feed, heartbeat) = (cells[0].split(" with ").next().unwrap(), &cells[5]);
        let Some(row) = rows.iter().find(|row| row.feed == feed) else {
            panic!("feed {feed}: add a row to the table of {HTTP_API}, \"The feeds\"");
        };
        assert!(
            row.heartbeat.split("; ").any(|part| part.ends_with(heartbeat.as_str())),
            "the heartbeat of {feed} is {heartbeat}, but {HTTP_API}, \"The feeds\", says {}. Correct the \
             table and the section of the feed",
            row.heartbeat
        );
    }
}

#[test]
fn every_technique_is_measured_and_compared() {
    let text = read(TRANSPORTS);
    let measured = read("crates/bench/src/transports/technique.rs");
    for row in rows() {
        let Row { feed, technique, .. } = &row;
        let name = feed.trim_matches('`');
        let query = match name {
            "longpoll" => "\"wait=25\"".to_owned(),
            "WebSocket, bare" => "UPGRADE)".to_owned(),
            "WebSocket, `tidewire.v1" => "UPGRADE_V1)".to_owned(),
            name => format!("\"feed={name}"),
        };
        assert!(
            measured.contains(&query),
            "feed {name}: add a Technique to TECHNIQUES in crates/bench/src/transports/technique.rs, and \
             then run `cargo xtask transports`, which writes the first table of {TRANSPORTS}"
        );
        for (heading, then) in [
            ("# Transports, measured", "run `cargo xtask transports`"),
            ("## Which one", "add a row that says when to use it"),
            ("## When the connection breaks", "add it to the row that fits, or add a row"),
        ] {
            let is_there =
                lines_of(section(&text, heading), "|").any(|line| line.contains(technique.as_str()));
            assert!(
                is_there,
                "feed {name}: no row of {TRANSPORTS}, \"{}\", names \"{technique}\" (its technique in \
                 {HTTP_API}): {then}",
                heading.trim_start_matches(['#', ' '])
            );
        }
    }
}

#[test]
fn the_readme_names_every_feed() {
    let text = read("README.md");
    let all = section(&text, "## Every technique, one URL");
    for name in catalogue() {
        let words = match name.as_str() {
            "poll" => "short polling",
            "longpoll" => "long polling",
            name => name,
        };
        let is_named = lines_of(all, "|").any(|line| line.contains(words));
        assert!(is_named, "feed {name}: add it to the table of README.md, \"Every technique, one URL\"");
    }
}

/// The name of each transport in `tidewire.js`, and its code.
fn transports_of_js() -> Vec<(String, String)> {
    let source = read("crates/tidewire/web/src/transports.ts");
    let blocks = source.split("\nexport const ").skip(1);
    blocks
        .map(|block| {
            let name = block.split("name: '").nth(1).and_then(|rest| rest.split('\'').next());
            (name.expect(block).to_owned(), block.to_owned())
        })
        .collect()
}

fn techniques_of_the_playground() -> Vec<String> {
    let source = read("crates/tidewire/web/playground/techniques.js");
    lines_of(&source, "id: '").map(|line| line.trim().split('\'').nth(1).unwrap().to_owned()).collect()
}

#[test]
fn each_client_reads_the_feeds_that_the_table_names() {
    let rust: Vec<_> = tidewire_client::Feed::ALL.map(|feed| feed.as_str().to_owned()).into();
    let transports = transports_of_js();
    let js: Vec<_> = transports.iter().map(|(name, _)| name.clone()).collect();
    let playground = techniques_of_the_playground();
    let clients = [
        ("tidewire-client", "crates/client/src/event.rs: Feed", &rust),
        ("tidewire.js", "crates/tidewire/web/src/transports.ts", &js),
        ("the playground", "crates/tidewire/web/playground/techniques.js", &playground),
    ];
    let rows = rows();
    for (n, (client, file, known)) in clients.into_iter().enumerate() {
        for Row { feed, clients, reason, .. } in &rows {
            let name = clients[n].as_str();
            assert!(
                name == "no" || known.iter().any(|other| other == name),
                "feed {feed}: {HTTP_API} says that {client} reads it as `{name}`, but {file} does not have \
                 this name. Add it there, or write `no` and a reason"
            );
            assert!(
                name != "no" || !reason.is_empty(),
                "feed {feed}: {client} does not read it; write the reason in the last column of the table of \
                 {HTTP_API}, \"The feeds\""
            );
        }
        for name in known {
            assert!(
                rows.iter().any(|row| row.clients[n] == *name),
                "{client} reads `{name}` ({file}): add it to its column in {HTTP_API}, \"The feeds\""
            );
        }
    }
    for Row { feed, clients: [_, js, _], .. } in &rows {
        let asks = match code_spans(feed).last() {
            Some(&"tidewire.v1") => "'tidewire.v1'".to_owned(),
            Some(name) => format!("feed: '{name}'"),
            None => continue,
        };
        let is_right = transports.iter().any(|(name, code)| name == js && code.contains(&asks));
        assert!(js == "no" || is_right, "feed {feed}: `{js}` of tidewire.js does not ask with {asks}");
    }
}
