//! Rules for the text of the page for learners.

use crate::page::{Page, fence};

/// What the page has, and what is wrong.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) exercises: usize,
    /// The terms of the glossary.
    pub(crate) terms: usize,
    pub(crate) faults: Vec<String>,
}

impl Found {
    pub(crate) fn in_page(page: &Page) -> Self {
        let mut found = Self::default();
        found.read_exercises(page);
        found.read_chapters(page);
        found.read_glossary(page);
        found
    }

    /// An exercise is followed by its answer, before the next exercise or heading.
    fn read_exercises(&mut self, page: &Page) {
        // The line of an exercise without an answer, and of an answer that is open.
        let (mut exercise, mut answer) = (None, None);
        for (number, line) in prose(page) {
            let is_exercise = line.starts_with("**Exercise");
            if is_exercise || line.starts_with("## ") {
                self.expect_none(exercise.take(), "this exercise has no answer (`<details>`)");
                self.expect_none(answer.take(), "this `<details>` has no end");
            }
            if is_exercise {
                self.exercises += 1;
                exercise = Some(number);
            }
            if line.starts_with("<details") {
                self.expect_none(answer.replace(number), "this `<details>` has no end");
                exercise = None;
            }
            if line.contains("</details>") && answer.take().is_none() {
                self.faults.push(format!("line {number}: this `</details>` ends nothing"));
            }
        }
        self.expect_none(exercise, "this exercise has no answer (`<details>`)");
        self.expect_none(answer, "this `<details>` has no end");
    }

    fn expect_none(&mut self, line: Option<usize>, fault: &str) {
        self.faults.extend(line.map(|line| format!("line {line}: {fault}")));
    }

    /// A chapter with an exercise has a drawing, something to run, and a question with its answer.
    fn read_chapters(&mut self, page: &Page) {
        let is_heading = |line: &String| line.starts_with("## ");
        let starts: Vec<_> = (0..page.lines.len()).filter(|&at| is_heading(&page.lines[at])).collect();
        let ends = starts.iter().skip(1).copied().chain([page.lines.len()]);
        for (&start, end) in starts.iter().zip(ends) {
            let lines = &page.lines[start..end];
            let has = |is_it: &dyn Fn(&str) -> bool| lines.iter().any(|line| is_it(line));
            if !has(&|line| line.starts_with("**Exercise")) {
                continue;
            }
            for (what, is_there) in [
                ("drawing (a `text` block)", has(&|line| fence(line).is_some_and(|fence| fence.2 == "text"))),
                ("**Run it.**", has(&|line| line.starts_with("**Run it.**"))),
                ("question (**…?**)", has(&|line| line.starts_with("**") && line.contains("?**"))),
            ] {
                if !is_there {
                    self.faults.push(format!("line {}: this chapter has no {what}", start + 1));
                }
            }
        }
    }

    /// Every term of the glossary is used elsewhere on the page.
    fn read_glossary(&mut self, page: &Page) {
        let lines: Vec<&str> = page.lines.iter().map(String::as_str).collect();
        let Some(start) = lines.iter().position(|line| *line == "## Glossary") else {
            self.faults.push("there is no section `## Glossary`".to_owned());
            return;
        };
        let end = lines[start + 1..]
            .iter()
            .position(|line| line.starts_with("## "))
            .map_or(lines.len(), |at| start + 1 + at);
        let elsewhere = words(&[&lines[..start], &lines[end..]].concat().join(" "));
        for (index, line) in lines[start..end].iter().enumerate() {
            let Some(term) = term(line) else { continue };
            self.terms += 1;
            if !elsewhere.contains(&words(term)) {
                let number = start + index + 1;
                self.faults
                    .push(format!("line {number}: the term “{term}” is not used elsewhere on the page"));
            }
        }
    }
}

/// The lines that are not in a block, with their numbers.
fn prose(page: &Page) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut block = None;
    for (index, line) in page.lines.iter().enumerate() {
        match (block, fence(line)) {
            (None, Some((_, ticks, _))) => block = Some(ticks),
            (None, None) => found.push((index + 1, line.as_str())),
            (Some(open), Some((_, ticks, ""))) if ticks >= open => block = None,
            (Some(_), _) => {}
        }
    }
    found
}

/// Returns the term that a line of the glossary explains: an item of a list or a row of a table
/// that begins with bold text.
fn term(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let text = ["- ", "* ", "|"].iter().find_map(|mark| line.strip_prefix(mark)).unwrap_or(line);
    let (term, _) = text.trim_start().strip_prefix("**")?.split_once("**")?;
    Some(term.trim())
}

/// Returns the words of a text in small letters, with one blank between them and no marks around
/// them.
fn words(text: &str) -> String {
    let words = text.to_lowercase();
    let words = words.split(|c: char| c.is_whitespace() || "*_`\"“”()[]{}<>,.;:|!?".contains(c));
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
fn found(text: &str) -> Found {
    Found::in_page(&Page::parse("page.md", text).unwrap())
}

/// The end of a page without faults.
#[cfg(test)]
const GLOSSARY: &str = "a log\n## Glossary\n| **log** | a list |\n";

#[test]
fn exercises_have_answers() {
    let answer = "<details><summary>Answer</summary>\nyes\n</details>\n";
    let good = format!("**Exercise.** One?\n{answer}**Exercise**: two?\n{answer}{answer}{GLOSSARY}");
    let good = found(&good);
    assert_eq!((good.exercises, good.terms, good.faults), (2, 1, vec![]));
    for (text, expected) in [
        (format!("**Exercise.**\n## Next\n{answer}"), "line 1: this exercise has no answer"),
        (format!("**Exercise.**\n**Exercise.**\n{answer}"), "line 1: this exercise has no answer"),
        ("**Exercise.**\n".to_owned(), "line 1: this exercise has no answer"),
        ("**Exercise.**\n<details>\n## Next\n".to_owned(), "line 2: this `<details>` has no end"),
        (format!("<details>\n{answer}"), "line 1: this `<details>` has no end"),
        ("</details>\n".to_owned(), "line 1: this `</details>` ends nothing"),
        // An answer that is only shown in a block is none.
        (format!("**Exercise.**\n```text\n{answer}```\n"), "line 1: this exercise has no answer"),
    ] {
        let faults = found(&(text.clone() + GLOSSARY)).faults;
        assert!(matches!(&faults[..], [fault] if fault.starts_with(expected)), "{text:?}: {faults:?}");
    }
}

#[test]
fn a_chapter_has_its_parts() {
    let chapter = "## One\n```text\na ──► b\n```\n**Run it.** Now.\n**Why is\n**Why?** So.\n**Exercise.**\n\
        <details></details>\n";
    assert_eq!(found(&(chapter.to_owned() + GLOSSARY)).faults, <[String; 0]>::default());
    for (part, expected) in [
        ("```text\na ──► b\n```\n", "line 1: this chapter has no drawing (a `text` block)"),
        ("**Run it.** Now.\n", "line 1: this chapter has no **Run it.**"),
        ("**Why?** So.\n", "line 1: this chapter has no question (**…?**)"),
    ] {
        // The next chapter has all parts, but they are not those of this one.
        let text = chapter.replace(part, "") + &chapter.replace("One", "Two") + GLOSSARY;
        assert_eq!(found(&text).faults, [expected]);
    }
}

#[test]
fn terms_of_the_glossary_are_used() {
    let all = "The *long\npolls* and **evicted** `Last-Event-ID`.\n## Glossary\n\
        | word | is |\n|---|---|\n| **long poll** | x |\n- **evict**: y\n* **Last-Event-ID** z\n\
        **of evict**\n## End\n";
    let outcome = found(all);
    assert_eq!(outcome.terms, 4);
    assert_eq!(outcome.faults, ["line 9: the term “of evict” is not used elsewhere on the page"]);
    assert!(found("no glossary").faults[0].contains("no section `## Glossary`"));
}
