//! Runs a page, and reports what differs.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use crate::expected::{self, Difference};
use crate::folder::Folder;
use crate::page::{Page, Section, Shown, Step};
use crate::process::{PATIENCE, Process};
use crate::{root, translate};

#[cfg(test)]
mod tests;

/// How to run a page.
#[derive(Debug)]
struct Settings {
    /// Only sections whose heading contains this text are run.
    only: Option<String>,
    /// Differences are not faults; the page is to be changed.
    bless: bool,
    patience: Duration,
}

impl Settings {
    fn from_environment() -> Self {
        Self {
            only: std::env::var("TIDEWIRE_LEARN_ONLY").ok(),
            bless: std::env::var_os("TIDEWIRE_BLESS").is_some(),
            patience: PATIENCE,
        }
    }

    /// Whether the section is to be run.
    fn chooses(&self, section: &Section) -> bool {
        let heading = section.heading.to_lowercase();
        self.only.as_ref().is_none_or(|only| heading.contains(&only.to_lowercase()))
    }
}

/// Whether a section of the page is to be run.
pub(crate) fn is_chosen(page: &Page) -> bool {
    let settings = Settings::from_environment();
    page.sections.iter().any(|section| settings.chooses(section))
}

/// Runs a page. Fails if anything differs from what the page shows.
pub(crate) fn check(page: &Page) {
    let settings = Settings::from_environment();
    let report = run(page, &settings);
    eprintln!("{}\n{}", page.name, report.sections);
    if let Some(text) = report.blessed(page) {
        std::fs::write(root().join(&page.name), text).unwrap();
        eprintln!("{} was changed: read the difference", page.name);
    }
    assert!(report.faults.is_empty(), "\n{}\n{}", report.sections, report.faults.join("\n"));
}

/// What has happened.
#[derive(Debug, Default)]
struct Report {
    /// A line for each section that was run.
    sections: String,
    faults: Vec<String>,
    /// New outputs: the first line of the page that is replaced, the number of lines, and the new
    /// lines.
    changes: Vec<(usize, usize, Vec<String>)>,
}

impl Report {
    /// The text of the page with the new outputs, if there are any.
    fn blessed(&self, page: &Page) -> Option<String> {
        let mut lines = page.lines.clone();
        // From the end, so that the numbers of the lines before stay right.
        for (line, len, new) in self.changes.iter().rev() {
            lines.splice(line - 1..line - 1 + len, new.iter().cloned());
        }
        (!self.changes.is_empty()).then(|| lines.join("\n") + "\n")
    }
}

fn run(page: &Page, settings: &Settings) -> Report {
    let mut report = Report::default();
    let mut runner = Runner::new(page, settings);
    // The server of a section that is left out, in case a later section needs it.
    let mut left_out = None;
    for section in page.sections.iter().filter(|section| !section.steps.is_empty()) {
        if !settings.chooses(section) {
            let server = section.steps.iter().rfind(|step| matches!(step, Step::Server(_)));
            left_out = server.or(left_out);
            continue;
        }
        let start = Instant::now();
        let outcome = left_out
            .take()
            .map_or(Ok(()), |server| runner.step(server, &mut report))
            .and_then(|()| runner.section(section, &mut report));
        let outcome = match outcome {
            Ok(()) => "ok    ",
            Err(fault) => {
                report.faults.push(format!("{fault}\n(in the section “{}”)\n", section.heading));
                "FAILED"
            }
        };
        let seconds = start.elapsed().as_secs_f32();
        writeln!(report.sections, "{outcome} {seconds:6.1} s  {}", section.heading).unwrap();
    }
    if let Some(only) = settings.only.as_ref().filter(|_| report.sections.is_empty()) {
        report.faults.push(format!("{}: no section with commands has {only:?} in its heading", page.name));
    }
    let files = runner.folder.left_behind();
    if report.faults.is_empty() && !files.is_empty() {
        let files = files.join(", ");
        report.faults.push(format!("{}: the commands leave these files behind: {files}", page.name));
    }
    report
}

struct Runner<'a> {
    page: &'a Page,
    settings: &'a Settings,
    folder: Folder,
    server: Option<Server>,
    background: BTreeMap<String, Background>,
}

/// The server of the page.
struct Server {
    address: String,
    /// Dropping it ends the server.
    _process: Process,
}

/// A command that keeps running.
struct Background {
    process: Process,
    /// The number of its lines that the page has shown up to now.
    seen: usize,
    /// The line of the page that has the command.
    line: usize,
    command: String,
}

impl<'a> Runner<'a> {
    fn new(page: &'a Page, settings: &'a Settings) -> Self {
        Self { page, settings, folder: Folder::create(), server: None, background: BTreeMap::new() }
    }

    /// Runs the steps of a section up to the first fault. The steps after it may depend on it.
    fn section(&mut self, section: &Section, report: &mut Report) -> Result<(), String> {
        let outcome = section.steps.iter().try_for_each(|step| self.step(step, report));
        let end = self.end_background();
        outcome.and(end)
    }

    /// Ends the commands that still run. An error is one that has failed before.
    fn end_background(&mut self) -> Result<(), String> {
        for (_, mut running) in std::mem::take(&mut self.background) {
            if let Some(status) = running.process.status().filter(|status| !status.success()) {
                let lines = indented(&self.readable(running.process.lines()));
                let text = format!("the command ended with {status}; it printed:\n{lines}");
                return Err(self.fault(running.line, &running.command, &text));
            }
        }
        Ok(())
    }

    fn step(&mut self, step: &Step, report: &mut Report) -> Result<(), String> {
        match step {
            Step::Server(shown) => self.start_server(shown),
            Step::Run { shown, fails } => self.run(shown, *fails, report),
            Step::Start { name, shown } => self.start(name, shown),
            Step::Await { name, shown } => self.find(name, shown),
        }
    }

    fn start_server(&mut self, shown: &Shown) -> Result<(), String> {
        // The old one ends first: it may have the files that the new one needs.
        self.server = None;
        let fault = |text: &str| self.fault(shown.line, &shown.command, text);
        let command = translate::server(&shown.command).map_err(|text| fault(&text))?;
        let process = Process::start(&command, self.folder.path()).map_err(|text| fault(&text))?;
        let (address, lines) = process.wait(self.settings.patience, |lines, _| {
            let line =
                lines.iter().rev().skip(1).find_map(|line| line.strip_prefix("tidewire listens on http://"));
            line.map(str::to_owned)
        });
        let Some(address) = address else {
            return Err(fault(&format!("the server did not start; it printed:\n{}", indented(&lines))));
        };
        let readable = |lines: &[String]| -> Vec<String> {
            lines.iter().map(|line| line.replace(&address, translate::ADDRESS)).collect()
        };
        let (found, lines) = process
            .wait(self.settings.patience, |lines, _| expected::find(&shown.output, &readable(lines)).ok());
        if found.is_none() {
            return Err(self.difference(shown, 0, &readable(&lines)));
        }
        self.server = Some(Server { address, _process: process });
        Ok(())
    }

    fn run(&self, shown: &Shown, fails: bool, report: &mut Report) -> Result<(), String> {
        let (status, lines) = self.spawn(shown)?.end(self.settings.patience);
        let lines = self.readable(lines);
        let fault = |text: &str| {
            let text = format!("{text}; it printed:\n{}", indented(&lines));
            Err(self.fault(shown.line, &shown.command, &text))
        };
        match status {
            None => return fault(&format!("a program did not end within {:?}", self.settings.patience)),
            Some(status) if fails && status.success() => {
                return fault("the command had to fail, and did not");
            }
            Some(status) if !fails && !status.success() => {
                return fault(&format!("the command ended with {status}"));
            }
            Some(_) => {}
        }
        let output = expected::without_blank_end(&shown.output);
        if self.settings.bless && !expected::is_open(output) {
            let new = expected::without_blank_end(&lines);
            let indent = " ".repeat(shown.indent);
            let new: Vec<_> =
                new.iter().map(|line| format!("{indent}{line}").trim_end().to_owned()).collect();
            if expected::compare(output, &lines).is_err() {
                report.changes.push((shown.output_line, output.len(), new));
            }
            return Ok(());
        }
        if output.is_empty() {
            return Ok(());
        }
        expected::compare(output, &lines).map_err(|difference| self.report(shown, difference, &lines))
    }

    fn start(&mut self, name: &str, shown: &Shown) -> Result<(), String> {
        if self.background.contains_key(name) {
            let text = format!("a command {name:?} is already running in this section");
            return Err(self.fault(shown.line, &shown.command, &text));
        }
        let process = self.spawn(shown)?;
        let running = Background { process, seen: 0, line: shown.line, command: shown.command.clone() };
        self.background.insert(name.to_owned(), running);
        self.find(name, shown)
    }

    /// Waits until a command that keeps running has printed the lines.
    fn find(&mut self, name: &str, shown: &Shown) -> Result<(), String> {
        let Some(running) = self.background.get(name) else {
            let text = format!("no command {name:?} is running in this section");
            return Err(self.fault(shown.line, &shown.command, &text));
        };
        let seen = running.seen;
        let (end, lines) = running.process.wait(self.settings.patience, |lines, _| {
            expected::find(&shown.output, &self.readable(lines[seen.min(lines.len())..].to_vec())).ok()
        });
        let Some(end) = end else {
            let shown = Shown { command: running.command.clone(), ..shown.clone() };
            return Err(self.difference(&shown, seen, &self.readable(lines)));
        };
        self.background.get_mut(name).expect("it is running").seen = seen + end;
        Ok(())
    }

    fn spawn(&self, shown: &Shown) -> Result<Process, String> {
        let address = self.server.as_ref().map(|server| server.address.as_str());
        translate::command(&shown.command, address)
            .and_then(|command| Process::start(&command, self.folder.path()))
            .map_err(|text| self.fault(shown.line, &shown.command, &text))
    }

    /// Returns lines of an output with the address that the page shows.
    fn readable(&self, mut lines: Vec<String>) -> Vec<String> {
        if let Some(server) = &self.server {
            for line in &mut lines {
                *line = line.replace(&server.address, translate::ADDRESS);
            }
        }
        lines
    }

    /// Says that lines did not come within a minute.
    fn difference(&self, shown: &Shown, seen: usize, lines: &[String]) -> String {
        let new = &lines[seen.min(lines.len())..];
        let difference = expected::find(&shown.output, new).err();
        let difference = difference.unwrap_or(Difference { expected: 0, got: 0 });
        self.report(shown, difference, new)
    }

    fn report(&self, shown: &Shown, difference: Difference, lines: &[String]) -> String {
        let output = expected::without_blank_end(&shown.output);
        let at = shown.output_line + difference.expected.min(output.len().saturating_sub(1));
        let missing = match output.get(difference.expected) {
            Some(line) => format!("the line {line:?} of the page does not come"),
            None => "the page shows all but the last lines".to_owned(),
        };
        let next = match lines.get(difference.got) {
            Some(line) => format!("; the next line that was printed is {:?}", line.trim_end()),
            None => "; nothing more was printed".to_owned(),
        };
        let texts = format!("the page shows:\n{}\nprinted was:\n{}", indented(output), indented(lines));
        self.fault(at, &shown.command, &format!("{missing}{next}\n{texts}"))
    }

    fn fault(&self, line: usize, command: &str, text: &str) -> String {
        format!("{}:{line}: $ {command}\n{text}", self.page.name)
    }
}

/// Lines behind a bar, without characters that a terminal would obey.
fn indented(lines: &[String]) -> String {
    let safe = |line: &String| -> String {
        let chars = line.trim_end().chars();
        chars.map(|c| if c.is_control() { c.escape_default().to_string() } else { c.into() }).collect()
    };
    match lines {
        [] => "  (nothing)".to_owned(),
        lines => lines.iter().map(|line| format!("  | {}", safe(line))).collect::<Vec<_>>().join("\n"),
    }
}
