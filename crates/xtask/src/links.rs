//! `cargo xtask links`: every link of a Markdown file leads somewhere, and every document can be
//! reached.
//!
//! - A link to a file, also by its address in our repository, needs the file. A link to a place in
//!   a document (`#name`) needs the heading.
//! - Every file in `docs` is at most two links away from README.md.
//! - The crates stand in the same order wherever they are listed (`order.rs`).
//!
//! Addresses on docs.rs are checked with the pages that rustdoc writes: see
//! `release/docs/links.rs`.

mod order;

use crate::markdown::Markdown;
use crate::{checkout, prose};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use tidewire_testkit::run::{Result, read, root};

/// Where every reader begins.
const FIRST: &str = "README.md";

/// The longest path from the first file to a document, in links.
const CLICKS: usize = 2;

/// Addresses of our files and folders.
const OURS: [&str; 2] =
    ["https://github.com/tidewire/tidewire/blob/main/", "https://github.com/tidewire/tidewire/tree/main/"];

pub(crate) fn run() -> Result {
    let root = root();
    let mut documents = BTreeMap::new();
    for name in prose::sources(&root).into_iter().filter(|name| name.ends_with(".md")) {
        let text = read(&root.join(&name))?;
        documents.insert(name, Markdown::parse(&text));
    }
    // Only what git knows: other files, such as the output of a build, are not there for a reader.
    let files = checkout::files(&root).into_iter().filter(|name| root.join(name).is_file());
    let files: BTreeSet<_> = files.collect();
    let site = Site { documents: &documents, exists: &|path| exists(&files, path) };
    let mut problems = site.broken();
    problems.extend(site.far());
    problems.extend(order::check(&documents));
    if problems.is_empty() {
        let count: usize = documents.values().map(|document| document.links.len()).sum();
        println!("    {count} links in {} files, and none leads nowhere", documents.len());
        return Ok(());
    }
    Err(problems.join("\n"))
}

/// Whether there is a file or a folder.
fn exists(files: &BTreeSet<String>, path: &str) -> bool {
    let folder = format!("{path}/");
    let is_folder = || files.range(folder.clone()..).next().is_some_and(|file| file.starts_with(&folder));
    path.is_empty() || files.contains(path) || is_folder()
}

struct Site<'a> {
    /// By path.
    documents: &'a BTreeMap<String, Markdown>,
    exists: &'a dyn Fn(&str) -> bool,
}

impl Site<'_> {
    /// The links that lead nowhere.
    fn broken(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for (name, document) in self.documents {
            for link in &document.links {
                if let Some(why) = self.problem(name, &link.target) {
                    problems.push(format!("{name}:{}: the link `{}`: {why}", link.line, link.target));
                }
            }
            for (line, label) in &document.missing_labels {
                problems
                    .push(format!("{name}:{line}: the link `[{label}]` needs a line `[{label}]: target`"));
            }
        }
        problems
    }

    fn problem(&self, from: &str, target: &str) -> Option<String> {
        let (address, fragment) = target.split_once('#').map_or((target, None), |(a, b)| (a, Some(b)));
        let path = match path(from, address) {
            Target::Elsewhere => return None,
            Target::Outside => return Some("it leaves the repository".into()),
            Target::Path(path) => path,
        };
        if !(self.exists)(&path) {
            let file = address.rsplit('/').find(|part| !part.is_empty()).unwrap_or_default();
            // Every folder has a README.
            let same = |name: &&String| name.rsplit('/').next() == Some(file) && file != FIRST;
            let near: Vec<_> = self.documents.keys().filter(same).map(String::as_str).collect();
            let near =
                if near.is_empty() { String::new() } else { format!("; there is {}", near.join(", ")) };
            return Some(format!("there is no {path}{near}"));
        }
        let fragment = fragment?;
        let page = self.page(&path)?;
        let headings = &self.documents.get(page)?.headings;
        let known = headings.iter().any(|heading| heading.slug == fragment);
        (!known).then(|| format!("{page} has no heading #{fragment}"))
    }

    /// The document that a browser shows for this path: the README of a folder.
    fn page(&self, path: &str) -> Option<&str> {
        let readme = if path.is_empty() { FIRST.to_owned() } else { format!("{path}/{FIRST}") };
        let found = self.documents.get_key_value(path).or_else(|| self.documents.get_key_value(&readme));
        found.map(|(name, _)| name.as_str())
    }

    /// The documents that are too many links away from the first file.
    fn far(&self) -> Vec<String> {
        let mut clicks = BTreeMap::from([(FIRST, 0)]);
        let mut queue = VecDeque::from([FIRST]);
        while let Some(from) = queue.pop_front() {
            let Some(document) = self.documents.get(from) else { continue };
            let next = clicks.get(from).map_or(0, |count| count + 1);
            let targets: BTreeSet<_> = document.links.iter().map(|link| link.target.as_str()).collect();
            for target in targets {
                let Some(path) = place(from, target) else { continue };
                if let Some(page) = self.page(&path)
                    && !clicks.contains_key(page)
                {
                    clicks.insert(page, next);
                    queue.push_back(page);
                }
            }
        }
        let documents = self.documents.keys().filter(|name| name.starts_with("docs/"));
        documents
            .filter_map(|name| match clicks.get(name.as_str()) {
                Some(&count) if count <= CLICKS => None,
                Some(count) => Some(format!(
                    "{name} is {count} clicks away from {FIRST}; at most {CLICKS} are allowed. Add it to \
                     docs/README.md."
                )),
                None => Some(format!("no links lead from {FIRST} to {name}. Add it to docs/README.md.")),
            })
            .collect()
    }
}

/// The file or folder in the repository that a link leads to.
pub(crate) fn place(from: &str, target: &str) -> Option<String> {
    match path(from, target.split('#').next().unwrap_or_default()) {
        Target::Path(path) => Some(path),
        Target::Elsewhere | Target::Outside => None,
    }
}

enum Target {
    /// An address of others.
    Elsewhere,
    /// A path that leaves the repository.
    Outside,
    /// Relative to the root of the repository.
    Path(String),
}

fn path(from: &str, address: &str) -> Target {
    let (base, address) = match OURS.iter().find_map(|ours| address.strip_prefix(ours)) {
        Some(path) => ("", path),
        None if address.is_empty() => return Target::Path(from.to_owned()),
        None if address.split('/').next().is_some_and(|first| first.contains(':')) => {
            return Target::Elsewhere;
        }
        None => (from.rsplit_once('/').map_or("", |(folder, _)| folder), address),
    };
    if address.starts_with('/') {
        return Target::Outside;
    }
    let mut parts: Vec<_> = base.split('/').filter(|part| !part.is_empty()).collect();
    for part in address.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.pop().is_none() => return Target::Outside,
            ".." => {}
            part => parts.push(part),
        }
    }
    Target::Path(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[(&str, &str)], with: impl Fn(&Site<'_>) -> Vec<String>) -> Vec<String> {
        let documents =
            files.iter().map(|(name, text)| ((*name).to_owned(), Markdown::parse(text))).collect();
        let names = files.iter().map(|(name, _)| (*name).to_owned()).collect();
        with(&Site { documents: &documents, exists: &|path| exists(&names, path) })
    }

    #[test]
    fn links_to_files_folders_and_headings_are_good() {
        let readme = "# Up\n[a](docs/a.md#one-two), [b](docs), [c](#up), [d](https://x.org/no.md)
[e](https://github.com/tidewire/tidewire/blob/main/docs/a.md), [f](mailto:a@b.c)";
        let a = "# One two\n[up](../README.md#up) [root](..)";
        let good = check(&[("README.md", readme), ("docs/a.md", a)], |site| site.broken());
        assert_eq!(good, Vec::<String>::new());
    }

    #[test]
    fn a_link_that_leads_nowhere_is_named_with_its_line() {
        let readme = "[a](b.md)\n[b](docs/b.md#two)\n[c](#three)\n[d](../x)\n[e](/docs/b.md)
[f](https://github.com/tidewire/tidewire/tree/main/c) [g](docs/#four) [h][i]";
        let found = check(&[("README.md", readme), ("docs/b.md", "# One"), ("docs/README.md", "")], |site| {
            site.broken()
        });
        assert_eq!(
            found,
            [
                "README.md:1: the link `b.md`: there is no b.md; there is docs/b.md",
                "README.md:2: the link `docs/b.md#two`: docs/b.md has no heading #two",
                "README.md:3: the link `#three`: README.md has no heading #three",
                "README.md:4: the link `../x`: it leaves the repository",
                "README.md:5: the link `/docs/b.md`: it leaves the repository",
                "README.md:6: the link `https://github.com/tidewire/tidewire/tree/main/c`: there is no c",
                "README.md:6: the link `docs/#four`: docs/README.md has no heading #four",
                "README.md:6: the link `[i]` needs a line `[i]: target`",
            ]
        );
    }

    #[test]
    fn every_document_is_two_clicks_away() {
        let found = check(
            &[
                ("README.md", "[a](docs/a.md) [crate](crates/x)"),
                ("docs/a.md", "[b](b.md#c) [self](#a)"),
                ("docs/b.md", "[c](c.md)"),
                ("docs/c.md", "[a](a.md)"),
                ("docs/d.md", ""),
                ("docs/e.md", ""),
                ("crates/x/README.md", "[e](https://github.com/tidewire/tidewire/blob/main/docs/e.md)"),
                ("examples/README.md", ""),
            ],
            |site| site.far(),
        );
        assert_eq!(
            found,
            [
                "docs/c.md is 3 clicks away from README.md; at most 2 are allowed. Add it to docs/README.md.",
                "no links lead from README.md to docs/d.md. Add it to docs/README.md.",
            ]
        );
    }
}
