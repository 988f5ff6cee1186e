//! Pages that are right, and pages that are wrong in one place.

use super::*;

fn run_text(text: &str, only: Option<&str>, bless: bool) -> (Report, Page) {
    let page = Page::parse("page.md", text).unwrap();
    let settings = Settings { only: only.map(str::to_owned), bless, patience: PATIENCE };
    (run(&page, &settings), page)
}

fn faults(text: &str) -> Vec<String> {
    run_text(text, None, false).0.faults
}

/// A page that shows everything, and is right.
const PAGE: &str = "\
# Page

```console server
$ cargo run --release -- --comet
…
tidewire listens on http://127.0.0.1:8080
…
```

## Publish

```console
$ curl -s -d hello http://127.0.0.1:8080/c/demo
{\"cursor\":\"…-1\"}
$ curl -s 'http://127.0.0.1:8080/c/demo' \\
    | grep -o '\"data\":.*]'
\"data\":\"hello\"}]
$ x=$(echo a)
  echo $x
a

$ test -z \"$x\" # another shell
$ echo http://127.0.0.1:8080/
http://127.0.0.1:8080/
```

```console fails
$ echo GET | cargo run -q --release -- explain
…
refused at byte …
…
```

## Read

```console background=sse
$ curl -sN 'http://127.0.0.1:8080/c/news?feed=sse'
id: …-0
…
```

```console background
$ curl -s 'http://127.0.0.1:8080/c/news?since=earliest&wait=50'
```

```console
$ curl -s -d one http://127.0.0.1:8080/c/news
…
$ curl -s -d two http://127.0.0.1:8080/c/news
…
```

```text background
{…\"data\":\"one\"…}
```

```text background=sse
data: one
```

```text background=sse
id: …-2
data: two
```
";

#[test]
fn a_page_that_is_right_has_no_faults() {
    let report = run_text(PAGE, None, false).0;
    assert_eq!(report.faults, <[String; 0]>::default(), "{}", report.sections);
    assert_eq!(report.sections.matches("ok ").count(), 3, "{}", report.sections);
}

#[test]
fn each_change_of_a_right_page_is_a_fault() {
    for (from, to, expected) in [
        // An output.
        ("…-1\"}", "…-2\"}", "page.md:14: $ curl -s -d hello http://127.0.0.1:8080/c/demo\nthe line"),
        ("\na\n", "\nb\n", "page.md:20: $ x=$(echo a)\n  echo $x\nthe line \"b\" of the page does not come"),
        ("\na\n", "\n\na\n", "page.md:20: "),
        ("\na\n", "\na\na\n", "page.md:21: "),
        ("$ echo http", "$ echo; echo http", "page.md:24: "),
        ("$ echo http", "$ echo 1; echo http", "page.md:24: "),
        ("8080/\nhttp", "8080/; echo 2\nhttp", "page.md:24: "),
        ("refused at", "accepted", "page.md:30: "),
        // A status.
        ("test -z", "test -n", "page.md:22: $ test -n \"$x\" # another shell\nthe command ended with"),
        (
            "echo GET |",
            "printf '' |",
            "page.md:28: $ printf '' | cargo run -q --release -- explain\nthe command had to",
        ),
        ("| grep -o", "| grep -o nothing", "page.md:15: "),
        // The server.
        ("--comet", "--comets", "page.md:4: $ cargo run --release -- --comets\nthe server did not start"),
        (
            "console server",
            "sh server",
            "page.md:13: $ curl -s -d hello http://127.0.0.1:8080/c/demo\nthe command uses",
        ),
    ] {
        assert!(PAGE.contains(from), "{from:?}");
        let page = PAGE.split_once("## Read").unwrap().0.replacen(from, to, 1);
        let (report, _) = run_text(&page, None, false);
        assert!(report.faults.iter().any(|fault| fault.starts_with(expected)), "{to:?}: {:?}", report.faults);
        assert!(report.sections.contains("FAILED"), "{}", report.sections);
    }
}

#[test]
fn the_lines_of_a_background_command_come_in_order() {
    let page = |output: &str, first: &str, second: &str| {
        format!("```console background=x\n$ {output}\n{first}\n```\n\n```text background=x\n{second}\n```\n")
    };
    // The commands end, so that nothing is waited for.
    let right = "printf 'a\\nb\\nc\\nd\\ne'";
    for (first, second) in
        [("a", "b"), ("b", "d\ne"), ("a\n…\nc", "e"), ("…", "a"), ("a\n…", "b"), ("a\n", "c\n")]
    {
        assert_eq!(faults(&page(right, first, second)), <[String; 0]>::default(), "{first:?} {second:?}");
    }
    for (output, first, second, expected) in [
        (right, "x", "a", "page.md:3: $ printf"),
        (right, "a\nc", "d", "page.md:4: $ printf"),
        (right, "b", "a", "page.md:7: $ printf"),
        (right, "b", "b", "page.md:7: $ printf"),
        (right, "a", "c\n\nd", "page.md:8: $ printf"),
        ("true", "a", "b", "page.md:3: $ true\nthe line \"a\" of the page does not come; nothing more"),
    ] {
        let found = faults(&page(output, first, second));
        assert!(
            matches!(&found[..], [fault] if fault.starts_with(expected)),
            "{first:?} {second:?}: {found:?}"
        );
    }
    let unknown = faults("```text background=x\na\n```\n");
    assert!(unknown[0].contains("no command \"x\" is running"), "{unknown:?}");
    let twice =
        page("cat", "", "a").replace("text background", "console background").replace("\na\n", "\n$ cat\n");
    assert!(faults(&twice)[0].contains("already running"), "{:?}", faults(&twice));
}

#[test]
fn a_background_command_that_has_failed_is_a_fault() {
    for (command, expected) in [
        ("echo a; exit 3", Err("page.md:2: $ echo a; exit 3\nthe command ended with exit status: 3")),
        ("echo a", Ok(())),
        ("echo a; sleep 600", Ok(())),
    ] {
        let page = Page::parse("page.md", &format!("```console background\n$ {command}\na\n```\n")).unwrap();
        let settings = Settings { only: None, bless: false, patience: PATIENCE };
        let mut runner = Runner::new(&page, &settings);
        runner.step(&page.sections[0].steps[0], &mut Report::default()).unwrap();
        let start = Instant::now();
        let ends = !command.contains("sleep");
        while ends && runner.background.get_mut("").unwrap().process.status().is_none() {
            assert!(start.elapsed() < PATIENCE, "{command} does not end");
            std::thread::yield_now();
        }
        match (runner.end_background(), expected) {
            (Ok(()), Ok(())) => {}
            (Err(fault), Err(expected)) => assert!(fault.starts_with(expected), "{fault}"),
            (found, _) => panic!("{command}: {found:?}"),
        }
    }
}

#[test]
fn a_background_command_ends_with_its_section() {
    let text =
        "```console background\n$ echo $$; exec sleep 600\n…\n```\n## Next\n```text background\na\n```\n";
    let found = faults(text);
    assert!(matches!(&found[..], [fault] if fault.contains("page.md:6: ")), "{found:?}");
}

#[test]
fn lines_that_do_not_come_and_commands_that_do_not_end_are_faults() {
    for (info, command, expected) in [
        ("console background", "echo a; sleep 600", "page.md:3: "),
        ("console", "echo a; sleep 600", "page.md:2: $ echo a; sleep 600\na program did not end within"),
    ] {
        let page = Page::parse("page.md", &format!("```{info}\n$ {command}\nb\n```\n")).unwrap();
        let settings = Settings { only: None, bless: false, patience: Duration::from_millis(500) };
        let found = run(&page, &settings).faults;
        assert!(matches!(&found[..], [fault] if fault.starts_with(expected)), "{info}: {found:?}");
    }
}

#[test]
fn one_section_runs_alone_with_its_server() {
    let (report, _) = run_text(PAGE, Some("rEaD"), false);
    assert_eq!(report.faults, <[String; 0]>::default());
    assert_eq!(
        (report.sections.lines().count(), report.sections.contains("Read")),
        (1, true),
        "{}",
        report.sections
    );
    let (report, _) = run_text(PAGE, Some("no such"), false);
    assert_eq!(report.faults, ["page.md: no section with commands has \"no such\" in its heading"]);
}

#[test]
fn a_section_runs_after_a_fault_in_another_one() {
    let report = run_text("```console\n$ false\n```\n## Next\n```console\n$ false\n```\n", None, false).0;
    assert_eq!(report.faults.len(), 2, "{:?}", report.faults);
}

#[test]
fn outputs_are_written_into_the_page() {
    let text = "- x\n  ```console\n  $ echo a; echo; echo ' b'\n  old\n  $ echo c\n  c\n\n  $ echo d\n\
        \x20 $ echo e\n  …\n  ```\n## Next\n```console fails\n$ echo f; false\n1\n2\n```\n";
    let (report, page) = run_text(text, None, true);
    assert_eq!(report.faults, <[String; 0]>::default());
    let expected = "- x\n  ```console\n  $ echo a; echo; echo ' b'\n  a\n\n   b\n  $ echo c\n  c\n\n\
        \x20 $ echo d\n  d\n  $ echo e\n  …\n  ```\n## Next\n```console fails\n$ echo f; false\nf\n```\n";
    assert_eq!(report.blessed(&page).unwrap(), expected);
    // Then nothing is left to change.
    let (report, page) = run_text(expected, None, true);
    assert_eq!(report.blessed(&page), None);
}

#[test]
fn a_page_removes_its_files() {
    let text = "```console\n$ echo a > new.txt; mkdir -p folder\n$ cat new.txt\na\n```\n";
    assert_eq!(faults(text), ["page.md: the commands leave these files behind: folder, new.txt"]);
    let tidy = text.to_owned() + "```console\n$ rm -r new.txt folder\n```\n";
    assert_eq!(faults(&tidy), <[String; 0]>::default());
}
