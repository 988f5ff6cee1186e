//! Compares the defaults in `docs/limits.md` with the code. Each crate has a test that calls this.

/// Asserts that the table under the heading `## name` of `docs/limits.md` has exactly these fields,
/// in this order, with these values. Durations are in milliseconds.
///
/// Get the fields with a pattern without `..`, so that the test does not compile if a new field is
/// missing:
///
/// ```text
/// let Limits { max_body, max_overhead } = Limits::DEFAULT;
/// let fields = [("max_body", max_body), ("max_overhead", max_overhead.into())];
/// limits::check("tidewire-chunked", &fields);
/// ```
///
/// A row is `| max_overhead | 16 KiB | what it bounds |`. A value is a number, which may have `,`
/// between thousands, and may have a unit (`bytes KiB MiB GiB ms s min h`). `none` is the largest
/// number, `off` is 0.
pub fn check(name: &str, fields: &[(&str, u64)]) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/limits.md");
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("docs/limits.md: {error}"));
    let listed = table(&text, name);
    let listed: Vec<(&str, u64)> = listed.iter().map(|(field, value)| (field.as_str(), *value)).collect();
    assert_eq!(listed, fields, "docs/limits.md (left) and the defaults of {name} (right) differ");
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
