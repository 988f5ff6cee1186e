//! Links between the pages that rustdoc wrote. Rustdoc checks links to items, but no links to
//! files, and no addresses. Links of our READMEs are addresses on docs.rs, because crates.io and
//! GitHub show the READMEs too. They must lead to a page that rustdoc wrote just now.

use std::collections::BTreeSet;
use std::path::Path;
use tidewire_testkit::run::{Result, files, read};

/// Links of others that lead nowhere. The first is in the documentation of tracing, which rustdoc
/// repeats in the pages of all our types. The second is in pages of rustdoc for the whole folder.
const OF_OTHERS: [&str; 2] = ["dispatcher", "./index.html"];

/// Returns the number of links to other pages, and those that lead nowhere.
pub(super) fn check(folder: &Path) -> Result<(usize, Vec<String>)> {
    let (mut count, mut broken) = (0, BTreeSet::new());
    // The pages of the source code only link to each other.
    let sources = folder.join("src");
    let pages = files(folder, ".html");
    for page in pages.iter().filter(|page| !page.starts_with(&sources)) {
        let text = read(page)?;
        let here = page.parent().unwrap_or(folder);
        for link in links(&text) {
            count += 1;
            let target = on_docs_rs(link).map_or_else(|| here.join(link), |path| folder.join(path));
            if !OF_OTHERS.contains(&link) && !is_page(&target) {
                let page = page.strip_prefix(folder).unwrap_or(page);
                broken.insert(format!("{}: {link}", page.display()));
            }
        }
    }
    Ok((count, broken.into_iter().collect()))
}

/// The links of a page to other files and to our pages on docs.rs, without the place inside the
/// file.
fn links(html: &str) -> impl Iterator<Item = &str> {
    let values = html.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let paths = values.filter_map(|value| value.split(['#', '?']).next());
    // `${` is in a script of rustdoc, which makes links.
    paths.filter(|path| {
        let is_relative = !path.is_empty() && !path.contains(':') && !path.starts_with("//");
        (is_relative && !path.contains("${")) || on_docs_rs(path).is_some()
    })
}

/// The path in the folder of rustdoc, for an address of our documentation on docs.rs.
fn on_docs_rs(link: &str) -> Option<String> {
    let (package, rest) = link.strip_prefix("https://docs.rs/")?.split_once('/').unwrap_or_default();
    let ours = package == "tidewire" || package.starts_with("tidewire-");
    // A page of a version that is published already stays as it is.
    let path = rest.strip_prefix("latest/")?;
    ours.then(|| path.to_owned())
}

fn is_page(path: &Path) -> bool {
    path.is_file() || path.join("index.html").is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_a_missing_file_is_named() {
        let folder = std::env::temp_dir().join(format!("xtask-links-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("a")).unwrap();
        let page = r##"<a href="index.html#x">1</a> <a href="#y">2</a> <a href="https://x.org/">3</a>
            <a href="../docs/limits.md">4</a> <a href="../a">5</a> <script>x(`href="${f}"`)</script>
            <a href="https://docs.rs/tidewire-ws/latest/a/index.html#x">6</a> <a href="https://docs.rs/bytes/latest/b">7</a>
            <a href="https://docs.rs/tidewire-ws/latest/a/struct.B.html">8</a>"##;
        std::fs::write(folder.join("a/index.html"), page).unwrap();
        let found = check(&folder);
        std::fs::remove_dir_all(&folder).unwrap();
        let broken = ["../docs/limits.md", "https://docs.rs/tidewire-ws/latest/a/struct.B.html"];
        assert_eq!(found, Ok((5, broken.map(|link| format!("a/index.html: {link}")).to_vec())));
    }
}
