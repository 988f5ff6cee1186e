//! The fixed bounds of `docs/limits.md`, compared with their constants. (The fields of settings are
//! compared by a test of each crate.)

use crate::text::{code_spans, read, section, table, visit, without_tests};

const LIMITS: &str = "docs/limits.md";

/// Constants `MAX_…` that bound nothing which a peer sends or costs, or that are listed elsewhere.
const ELSEWHERE: [(&str, &str); 13] = [
    ("hub/src/directory.rs: MAX_SHARDS", "the size of a table; the bound is `max_channels`"),
    ("hub/src/directory.rs: MAX_SLOT", "a mask of bits"),
    ("hub/src/feeds/iframe.rs: MAX_POINTS", "docs/http-api.md, \"Callbacks\": it is about safety, not cost"),
    ("hub/src/feeds/jsonp.rs: MAX_POINTS", "docs/http-api.md, \"Callbacks\": it is about safety, not cost"),
    ("hub/src/feeds/raw.rs: MAX_JOINED", "the size of a write of our own"),
    ("hub/src/feeds/ws.rs: MAX_REASON", "RFC 6455 §5.5"),
    ("store/src/memory/mod.rs: MAX_SHARDS", "the size of a table; the bound is `max_logs`"),
    ("tidewire/src/playground/mod.rs: MAX_WIRES", "`Playground::BOUNDS`"),
    ("tidewire/src/playground/wire.rs: MAX_READ", "`Playground::BOUNDS`"),
    ("tidewire/src/playground/wire.rs: MAX_UNSENT", "`Playground::BOUNDS`"),
    ("tidewire/src/playground/wire.rs: MAX_SEGMENT", "a size of our own packets"),
    ("client/src/recovery.rs: MAX_FAILURES", "when a feed is given up; crates/client/README.md"),
    ("tidewire/src/cli/explain", "`explain` reads what its user gives it"),
];

/// Every constant of the tables: where it is, and its bound in words.
fn listed() -> Vec<(String, String)> {
    let text = read(LIMITS);
    let mut all = Vec::new();
    for name in ["tidewire-server", "tidewire-hub", "tidewire", "tidewire-client"] {
        for row in table(section(&text, &format!("## {name}: fixed bounds")), "what") {
            let [_, bound, _, _, constants] = &row[..] else { panic!("{row:?}") };
            all.extend(code_spans(constants).into_iter().map(|place| (place.to_owned(), bound.clone())));
        }
    }
    all
}

/// The type and the value of a constant in the source of a file.
fn constant<'a>(source: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    let (_, rest) = source.split_once(&format!("const {name}: "))?;
    rest.split_once(';')?.0.split_once(" = ")
}

/// Computes `64 * 1024` or `1 << 20`.
fn number(expression: &str) -> u64 {
    let factor = |text: &str| text.trim().replace('_', "").parse::<u64>();
    if let Some((one, bits)) = expression.split_once(" << ") {
        return factor(one).unwrap() << factor(bits).unwrap();
    }
    let factors = expression.split('*').map(factor);
    factors.map(|factor| factor.unwrap_or_else(|_| panic!("{expression} is no product of numbers"))).product()
}

/// How the value may be written.
fn spellings(name: &str, value: &str) -> Vec<String> {
    let grouped = |n: u64| {
        let digits = n.to_string();
        let mut text = String::new();
        for (n, digit) in digits.chars().enumerate() {
            if n > 0 && (digits.len() - n).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        text
    };
    let with_units = |n: u64, units: &[(u64, &str)]| -> Vec<String> {
        let fitting = units.iter().filter(|(size, _)| n.is_multiple_of(*size));
        fitting.map(|(size, unit)| format!("{} {unit}", grouped(n / size))).collect()
    };
    const TIMES: [(u64, &str); 6] = [
        (1, "µs"),
        (1_000, "ms"),
        (1_000_000, "s"),
        (60_000_000, "min"),
        (3_600_000_000, "h"),
        (31_536_000_000_000, "years"),
    ];
    for (function, micros) in [("from_secs(", 1_000_000), ("from_millis(", 1_000), ("from_micros(", 1)] {
        if let Some((_, rest)) = value.split_once(function) {
            return with_units(number(rest.trim_end_matches(')')) * micros, &TIMES);
        }
    }
    if name.ends_with("_MS") {
        return with_units(number(value) * 1_000, &TIMES);
    }
    let mut all = with_units(number(value), &[(1 << 10, "KiB"), (1 << 20, "MiB")]);
    all.push(grouped(number(value)));
    all
}

/// Whether the text has these words, and not only as a part of a longer number.
fn says(text: &str, words: &str) -> bool {
    let mut parts = text.match_indices(words);
    parts.any(|(at, _)| {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == ',';
        let before = text[..at].chars().next_back().is_some_and(is_part);
        let mut after = text[at + words.len()..].chars();
        let next = after.next();
        let goes_on = next == Some(',') && after.next().is_some_and(|c| c.is_ascii_digit());
        !before && !goes_on && !next.is_some_and(|c| c.is_ascii_alphanumeric())
    })
}

#[test]
fn fixed_bounds_have_the_values_of_their_constants() {
    let listed = listed();
    assert!(listed.len() > 45, "{} constants", listed.len());
    for (place, bound) in listed {
        let (file, name) = place.split_once(": ").unwrap_or_else(|| panic!("{LIMITS}: {place}"));
        let source = read(&format!("crates/{file}"));
        let Some((_, value)) = constant(&source, name) else { panic!("{LIMITS}: there is no {place}") };
        let spellings = spellings(name, value);
        assert!(
            spellings.iter().any(|words| says(&bound, words)),
            "{place} is {value}; correct its row in {LIMITS}, which says: {bound} (write one of \
             {spellings:?})"
        );
    }
}

#[test]
fn every_bound_has_a_row() {
    let listed = listed();
    let mut found = 0;
    for krate in ["hub", "server", "store", "tidewire", "client"] {
        visit(&format!("crates/{krate}/src"), &mut |path, source| {
            let file = path.strip_prefix("crates/").unwrap();
            let code = without_tests(source);
            for rest in code.split("const MAX_").skip(1) {
                let name = rest.split(':').next().unwrap();
                let place = format!("{file}: MAX_{name}");
                let is_elsewhere = ELSEWHERE.iter().any(|(known, _)| place.starts_with(known));
                assert!(
                    is_elsewhere || listed.iter().any(|(known, _)| *known == place),
                    "{place} has no row in {LIMITS}: add one to the fixed bounds of its crate, or a \
                     reason to ELSEWHERE in crates/tidewire/tests/documented/bounds.rs"
                );
                found += 1;
            }
        });
    }
    assert!(found > 40, "{found} constants");
}
