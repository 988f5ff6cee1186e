//! Compares the defaults in `docs/limits.md` with the code. Each crate has a test that calls this.

use std::fmt::Debug;

/// Asserts that the table under the heading `## name` of `docs/limits.md` has exactly the fields of
/// these settings, in this order, with these values. Durations are in milliseconds.
///
/// The fields come from `Debug`, so a new field fails the test until it is documented. Settings
/// inside settings count too. Only numbers, durations and options of these are limits. `except`
/// names fields that are documented elsewhere.
///
/// ```text
/// limits::check("tidewire-chunked", &[&Limits::DEFAULT], &[]);
/// ```
///
/// A row is `| max_overhead | 16 KiB | what it bounds |`. A value is a number, which may have `,`
/// between thousands, and may have a unit (`bytes KiB MiB GiB ms s min h`). `none` is the largest
/// number, `off` is 0.
pub fn check(name: &str, settings: &[&dyn Debug], except: &[&str]) {
    let mut all: Vec<_> = settings.iter().flat_map(|settings| fields(&format!("{settings:#?}"))).collect();
    all.retain(|(field, _)| !except.contains(&field.as_str()));
    let all: Vec<_> = all.iter().map(|(field, value)| (field.as_str(), *value)).collect();
    compare(name, &all);
}

/// The same for bounds that are not fields of settings.
pub fn compare(name: &str, bounds: &[(&str, u64)]) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/limits.md");
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("docs/limits.md: {error}"));
    let listed = table(&text, name);
    let listed: Vec<_> = listed.iter().map(|(field, value)| (field.as_str(), *value)).collect();
    assert_eq!(listed, bounds, "docs/limits.md (left) and the defaults of {name} (right) differ");
}

/// The limits in the output of `{:#?}`, which has one field on a line.
fn fields(debug: &str) -> Vec<(String, u64)> {
    let mut lines = debug.lines().map(str::trim);
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        let Some((field, value)) = line.split_once(": ") else { continue };
        let value = if value == "Some(" { lines.next().unwrap_or_default() } else { value };
        found.extend(number(value.trim_end_matches(',')).map(|number| (field.to_owned(), number)));
    }
    found
}

/// A number, or the milliseconds of a duration, as `Debug` writes them.
fn number(text: &str) -> Option<u64> {
    if text == "None" {
        return Some(u64::MAX);
    }
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let (seconds, scale) = match text.strip_suffix("ms") {
        Some(milliseconds) => (milliseconds, 1.0),
        None => (text.strip_suffix('s')?, 1000.0),
    };
    Some((seconds.parse::<f64>().ok()? * scale) as u64)
}

/// The fields and values under a heading.
fn table(text: &str, name: &str) -> Vec<(String, u64)> {
    let section =
        text.split("\n## ").find(|section| section.lines().next().is_some_and(|line| line.trim() == name));
    let section = section.unwrap_or_else(|| panic!("docs/limits.md has no heading `## {name}`"));
    let rows = section.lines().filter_map(|line| {
        let mut cells = line.strip_prefix('|')?.split('|').map(|cell| cell.trim().trim_matches('`'));
        let (field, default) = (cells.next()?, cells.next()?);
        (field != "field" && !field.starts_with('-')).then_some((field, default))
    });
    rows.map(|(field, default)| {
        let value =
            value(default).unwrap_or_else(|| panic!("docs/limits.md: `{default}` of {field} is not a value"));
        (field.into(), value)
    })
    .collect()
}

fn value(text: &str) -> Option<u64> {
    match text {
        "none" => return Some(u64::MAX),
        "off" => return Some(0),
        _ => {}
    }
    let (number, unit) = text.split_once(' ').unwrap_or((text, ""));
    let scale = match unit {
        "" | "ms" | "bytes" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "s" => 1000,
        "min" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        _ => return None,
    };
    number.replace(',', "").parse::<u64>().ok()?.checked_mul(scale)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_limits_among_the_fields_are_read() {
        #[derive(Debug)]
        #[expect(dead_code, reason = "only Debug reads them")]
        struct Settings {
            max: u64,
            on: bool,
            inner: Option<Inner>,
            least: Option<u8>,
            most: Option<u8>,
            name: &'static str,
        }
        #[derive(Debug)]
        #[expect(dead_code, reason = "only Debug reads them")]
        struct Inner {
            long: Duration,
            short: Duration,
        }
        let inner = Inner { long: Duration::from_secs(90), short: Duration::from_millis(1_500) };
        let settings =
            Settings { max: u64::MAX, on: true, inner: Some(inner), least: Some(3), most: None, name: "7s" };
        let want = [("max", u64::MAX), ("long", 90_000), ("short", 1_500), ("least", 3), ("most", u64::MAX)];
        assert_eq!(fields(&format!("{settings:#?}")), want.map(|(name, value)| (name.to_owned(), value)));
    }

    #[test]
    fn a_table_is_read() {
        let text = "# Limits\n\n## other\n\n| field | default |\n|---|---|\n| a | 1 |\n\n## this\n\nText.\n\n\
                    | field | default | why |\n|---|---|---|\n| `a` | 16 KiB | x |\n\
                    | b | 1,000 | y |\n| c | none | |\n| d | 2 min | |\n";
        let want = [("a", 16384), ("b", 1000), ("c", u64::MAX), ("d", 120_000)];
        assert_eq!(table(text, "this"), want.map(|(name, value)| (String::from(name), value)));
        assert_eq!(table(text, "other"), [("a".into(), 1)]);
        assert_eq!(value("5 apples"), None);
    }
}
