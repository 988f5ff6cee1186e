//! What a learner needs in `docs/wire`: the README explains every word, and every chapter says why
//! its rule exists.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use tidewire_testkit::run::{files, read, root};
use tidewire_testkit::vectors;

/// A word and the document in which it occurs.
type Words = BTreeSet<(String, String)>;

#[test]
fn the_readme_explains_every_word_of_the_logs() {
    let mut words = Words::new();
    for (name, _) in documents() {
        for line in vectors::of(&name).iter().flat_map(|case| &case.events) {
            let word = line.split(' ').find(|word| !word.bytes().all(|byte| byte.is_ascii_digit()));
            words.insert((word.unwrap().into(), name.clone()));
        }
    }
    assert_eq!(explained("### Words of the logs"), words);
}

#[test]
fn the_readme_explains_every_word_after_wire() {
    let mut words = Words::new();
    for (name, _) in documents() {
        for option in vectors::of(&name).iter().flat_map(|case| &case.options) {
            words.insert((option.split('=').next().unwrap().into(), name.clone()));
        }
    }
    assert_eq!(explained("### Words after `wire`"), words);
}

#[test]
fn the_readme_links_every_document_and_shows_a_case_of_the_first() {
    let readme = readme();
    let documents = documents();
    for name in documents.keys() {
        assert!(
            readme.contains(&format!(". [{name}.md]({name}.md): ")),
            "{name}.md is not in the reading order"
        );
    }
    let (_, shown) = readme.split_once("````text\n").unwrap();
    let (shown, _) = shown.split_once("````").unwrap();
    assert!(documents["chunked"].contains(shown), "{shown}");
    assert_eq!(vectors::load(&readme), [], "the README only shows cases");
}

/// The paragraph directly before the first case is its sentence. The chapter needs one before it.
#[test]
fn every_chapter_says_why_before_its_first_case() {
    for (name, text) in documents() {
        let mut chapters = 0;
        for chapter in text.split("\n#").skip(1) {
            let (heading, body) = chapter.split_once('\n').unwrap();
            let before = body.split("\n```wire").next().unwrap();
            let prose = before.split("\n\n").filter(|text| !text.trim().is_empty());
            let paragraphs = prose.filter(|text| !text.trim().starts_with("<!--")).count();
            let least = if body.contains("\n```wire") { 2 } else { 1 };
            assert!(paragraphs >= least, "{name}.md: {heading}: the first paragraph says why");
            chapters += 1;
        }
        assert!(chapters >= 10, "{name}.md has {chapters} chapters");
    }
}

/// The first words in backticks of a table, with the documents of the second column.
fn explained(heading: &str) -> Words {
    let readme = readme();
    let (_, section) = readme.split_once(heading).unwrap();
    let section = section.split("\n#").next().unwrap();
    let mut words = Words::new();
    for row in section.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split(" | ").collect();
        let [shown, documents, _] = cells[..] else { panic!("three columns: {row}") };
        for shown in shown.split('`').skip(1).step_by(2) {
            let word = shown.split([' ', '=']).next().unwrap();
            for document in documents.split(", ") {
                assert!(
                    words.insert((word.into(), document.into())),
                    "{word} of {document} is explained twice"
                );
            }
        }
    }
    words
}

fn readme() -> String {
    read(&root().join("docs/wire/README.md")).unwrap()
}

/// The names and texts of all documents with cases.
fn documents() -> BTreeMap<String, String> {
    let paths: Vec<PathBuf> = files(&root().join("docs/wire"), ".md");
    let named = paths.into_iter().map(|path| {
        let text = read(&path).unwrap();
        (path.file_stem().unwrap().to_string_lossy().into_owned(), text)
    });
    named.filter(|(name, _)| name != "README").collect()
}
