//! Close codes, reserved event names, objects, paths, and the interval of heartbeats.

use tidewire::App;
use tidewire::hub::{CloseCode, RESERVED_EVENTS, Settings};

use crate::HTTP_API;
use crate::text::{between, code_spans, lines_of, read, section, table, visit, without_tests};

/// The number of a close code in `tidewire_ws::close`.
fn number(name: &str) -> u16 {
    let source = read("crates/ws/src/close.rs");
    between(&source, &format!("pub const {name}: u16 = "), ";").parse().unwrap()
}

/// The words after each `start`, up to the first character that is not of a constant.
fn constants(source: &str, start: &str) -> Vec<String> {
    let is_of_name = |c: char| c.is_ascii_uppercase() || c == '_';
    let rests = source.split(start).skip(1);
    rests.map(|rest| rest.chars().take_while(|&c| is_of_name(c)).collect()).collect()
}

/// The codes with which `tidewire-ws` closes by itself when a client breaks the protocol.
fn codes_of_the_protocol() -> Vec<u16> {
    let source = read("crates/ws/src/error.rs");
    let names = constants(between(&source, "pub const fn close_code", "\n    }\n"), "close::");
    assert!(names.len() >= 5, "{names:?}");
    // Not sent by the server: for logs only, and for callers that mix two ways to read.
    names
        .iter()
        .filter(|name| !["ABNORMAL", "INTERNAL_ERROR"].contains(&name.as_str()))
        .map(|name| number(name))
        .collect()
}

/// The codes that are no error for `tidewire.js`.
fn codes_of_js() -> Vec<u16> {
    let source = read("crates/tidewire/web/src/transports.ts");
    let list = between(&source, "if ([", "].includes(code)) resolve();");
    list.split(", ").map(|code| code.parse().unwrap()).collect()
}

/// The codes after which `tidewire-client` waits longer.
fn codes_of_the_client() -> Vec<u16> {
    let source = read("crates/client/src/recovery.rs");
    let pattern = between(&source, "Error::Closed { code: ", ", .. } =>");
    constants(pattern, "close::").iter().map(|name| number(name)).collect()
}

#[test]
fn every_close_code_is_documented() {
    let text = read(HTTP_API);
    let rows = table(section(&text, "## Close codes"), "code");
    let listed: Vec<u16> = rows.iter().map(|row| row[0].parse().unwrap()).collect();
    let (own, protocol) = (CloseCode::ALL.iter().map(|code| code.code()), codes_of_the_protocol());
    let js = codes_of_js();
    let mut all: Vec<_> = own.chain(protocol).chain(js.iter().copied()).collect();
    all.sort_unstable();
    all.dedup();
    for code in &all {
        assert!(
            listed.contains(code),
            "close code {code}: add a row to the table of {HTTP_API}, \"Close codes\""
        );
    }
    assert_eq!(listed, all, "the table of {HTTP_API} (left) has codes that nobody sends, or another order");
    let source = read("crates/client/src/close_code.rs");
    let deleted = format!("const DELETED: u16 = {};", CloseCode::Deleted.code());
    assert!(source.contains(&deleted), "crates/client/src/close_code.rs: {deleted}");
    let client = codes_of_the_client();
    for row in &rows {
        let [code, _, rust, script] = &row[..] else { panic!("{row:?}") };
        let number: u16 = code.parse().unwrap();
        assert_eq!(
            rust.starts_with("waits longer"),
            client.contains(&number),
            "close code {code}: {HTTP_API} and crates/client/src/recovery.rs differ: {rust}"
        );
        assert_eq!(
            script == "no error",
            js.contains(&number),
            "close code {code}: {HTTP_API} and crates/tidewire/web/src/transports.ts differ: {script}"
        );
    }
}

/// Otherwise the table of `docs/http-api.md` could have a code that no client ever gets.
#[test]
fn every_close_code_is_sent() {
    let mut sources = String::new();
    for folder in ["crates/hub/src", "crates/tidewire/src"] {
        visit(folder, &mut |path, source| {
            if !path.ends_with("/close_code.rs") {
                sources.push_str(source.split("#[cfg(test)]").next().unwrap());
            }
        });
    }
    let words: Vec<_> = sources.split(|c: char| !c.is_ascii_alphanumeric() && c != ':').collect();
    for code in CloseCode::ALL {
        assert!(
            words.contains(&format!("CloseCode::{code:?}").as_str()),
            "close code {code:?}: nothing sends it. Send it, or remove it from crates/hub/src/close_code.rs"
        );
    }
}

/// The compiler warns about an option that `plan` takes and does not use. `name: _` silences it.
#[test]
fn every_option_of_the_server_has_an_effect() {
    let source = read("crates/tidewire/src/cli/serve.rs");
    let pattern = between(&source, "let ServeArgs {", "} = args;");
    let silent: Vec<_> = lines_of(pattern, "").filter_map(|line| line.trim().strip_suffix(": _,")).collect();
    assert_eq!(
        silent,
        ["log", "log_format", "config"],
        "crates/tidewire/src/cli/serve.rs: only the options that `run` reads may have no effect in `plan`"
    );
}

/// Most code takes the type `CloseCode`. Patterns of the client could still have numbers.
#[test]
fn close_codes_are_named() {
    let mut files = 0;
    for folder in ["crates/hub/src", "crates/client/src", "crates/tidewire/src/playground"] {
        visit(folder, &mut |path, source| {
            let code = without_tests(source);
            for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
                let mut words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                let number = words.find(|word| {
                    let is_registered =
                        word.len() == 4 && (word.starts_with("100") || word.starts_with("101"));
                    let digits = word.chars().all(|c| c.is_ascii_digit());
                    // RFC 6455 leaves 4000 to 4999 to applications. 4096 is a size.
                    let is_own = word.len() == 4 && digits && word.starts_with('4') && *word != "4096";
                    is_own || (is_registered && *word != "1000")
                });
                let is_list = path.ends_with("/close_code.rs");
                assert!(
                    number.is_none() || is_list,
                    "{path}: {} looks like a close code: use tidewire_hub::CloseCode or \
                     tidewire_ws::close: {line}",
                    number.unwrap_or_default()
                );
            }
            files += 1;
        });
    }
    assert!(files > 100, "{files} files");
}

#[test]
fn every_reserved_event_name_is_documented() {
    let text = read(HTTP_API);
    let list = between(&text, "Some event names are reserved", "`message` is allowed");
    let listed: Vec<_> =
        lines_of(list, "- ").flat_map(|line| code_spans(line.split(':').next().unwrap())).collect();
    for name in RESERVED_EVENTS {
        assert!(
            listed.contains(&name),
            "event name {name}: add it to the list of {HTTP_API}, \"Publish\", with the reason"
        );
    }
    assert_eq!(listed, RESERVED_EVENTS, "{HTTP_API} (left) has other names, or another order");
}

/// Readers of plain event streams must know the names of events that are no messages. The
/// playground is the only client of ours that reads these. The other clients read objects.
#[test]
fn the_playground_knows_the_events_of_the_server() {
    let feed = read("crates/hub/src/feeds/sse.rs");
    let names = between(&feed, "reserved_events::{", "}").to_lowercase();
    let reader = read("crates/tidewire/web/playground/streams.js");
    let reader = between(&reader, "class EventStream", "\n}\n");
    let law = read("crates/tidewire/tests/common/feeds.rs");
    let law = between(&law, "impl Reader for Sse", "\n}\n");
    for name in names.split(", ") {
        assert!(
            reader.contains(&format!("event === '{name}'")),
            "event {name}: crates/tidewire/web/playground/streams.js, class EventStream, takes it for a \
             message"
        );
        assert!(
            law.contains(&format!("\"{name}\"")),
            "event {name}: crates/tidewire/tests/common/feeds.rs, Reader for Sse, takes it for a message"
        );
    }
}

/// The types of the objects that `tidewire-client` ignores, and why.
const IGNORED: [(&str, &str); 3] = [
    ("heartbeat", "every byte shows that the connection is alive"),
    ("ack", "it sends no commands"),
    ("error", "it sends no commands"),
];

#[test]
fn every_object_is_documented_and_known_to_its_readers() {
    let source = read("crates/hub/src/object.rs");
    let body = between(&source, "pub(crate) enum Object<'a> {", "\n}\n");
    let variants = body.lines().filter_map(|line| line.strip_prefix("    "));
    let variants = variants.filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()));
    let types: Vec<_> = variants.map(|line| line.trim_end_matches([' ', '{', ',']).to_lowercase()).collect();
    assert!(types.len() >= 7, "{types:?}");
    let text = read(HTTP_API);
    let documented = section(&text, "## The JSON objects");
    let explain = read("crates/explain/src/api_object.rs");
    let client = read("crates/client/src/object.rs");
    for kind in &types {
        assert!(
            documented.contains(&format!("{{\"type\":\"{kind}\"")),
            "object {kind}: describe it in {HTTP_API}, \"The JSON objects\""
        );
        assert!(
            explain.contains(&format!("Some(\"{kind}\") =>")),
            "object {kind}: say what it means in crates/explain/src/api_object.rs: meaning"
        );
        assert!(
            client.contains(&format!("\"{kind}\" =>")) || IGNORED.iter().any(|(name, _)| name == kind),
            "object {kind}: read it in crates/client/src/object.rs: into_item, or add it to IGNORED in \
             crates/tidewire/tests/documented/lists.rs, with the reason"
        );
    }
}

#[test]
fn every_path_is_documented() {
    let text = read(HTTP_API);
    let rows = table(section(&text, "## Paths"), "path");
    let listed: Vec<_> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
    for path in App::PATHS {
        assert!(listed.contains(&path), "path {path}: add a row to the table of {HTTP_API}, \"Paths\"");
    }
    assert_eq!(listed, App::PATHS, "{HTTP_API} (left) has paths that are not served, or another order");
}

/// The documents and clients that depend on the interval of heartbeats.
#[test]
fn documents_and_clients_know_the_interval_of_heartbeats() {
    let interval = Settings::DEFAULT.heartbeat.as_secs();
    for (file, words) in [
        (HTTP_API, format!("every {interval} seconds")),
        ("docs/transports.md", format!("every {interval} s")),
        ("docs/operation.md", format!("`--heartbeat` ({interval} s)")),
        ("crates/tidewire/src/cli/options.rs", format!("in whole seconds [default: {interval}s]")),
        ("crates/client/src/error.rs", format!("every {interval} seconds")),
    ] {
        assert!(read(file).contains(&words), "heartbeats come {words}: correct {file}");
    }
    let rust = read("crates/client/src/options.rs");
    let rust = between(&rust, "heartbeat_timeout: Duration::from_secs(", ")").parse::<u64>().unwrap();
    let js = read("crates/tidewire/web/src/subscription.ts");
    let js = between(&js, "heartbeatTimeout: ", ",").replace('_', "").parse::<u64>().unwrap() / 1_000;
    for (file, timeout) in
        [("crates/client/src/options.rs", rust), ("crates/tidewire/web/src/subscription.ts", js)]
    {
        assert!(
            timeout > 2 * interval,
            "{file}: a client gives up after {timeout} s, which is less than two heartbeats"
        );
    }
}
