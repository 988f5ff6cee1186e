//! Commands that consist of steps: `cargo xtask check` and `cargo xtask release-check`.

mod lanes;
mod step;
mod times;

use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) use step::{Lane, Step, step};
use tidewire_testkit::run::{Result, target};
use times::Times;

/// Runs the named steps and the steps that they need. Without names: all steps. `name` is the
/// command, whose logs are in a folder of this name in the target folder.
///
/// With `here`, runs the steps in this process, which ends when its standard input ends. The whole
/// command starts each step like this.
pub(crate) fn run(name: &str, steps: &'static [Step], names: &[String], here: bool) -> Result {
    let steps = chosen(steps, names, !here);
    if here {
        lanes::end_with_parent();
        return steps.iter().try_for_each(|step| (step.run)());
    }
    let folder = folder(name);
    // The build of the workspace replaces this program while it runs, so the steps use a copy.
    let itself = folder.join("xtask");
    let copied = std::fs::create_dir_all(&folder).and_then(|()| replace(&std::env::current_exe()?, &itself));
    copied.map_err(|error| format!("{}: {error}", itself.display()))?;
    let command = |step: &str| {
        let mut command = Command::new(&itself);
        command.args([name, "--here", step]);
        command
    };
    let place = lanes::Place { name, folder: &folder };
    lanes::run(&steps, &place, command, &mut Times::load(folder.join("times")), &mut std::io::stdout())
}

/// The folder of the logs of a command.
pub(crate) fn folder(name: &str) -> PathBuf {
    target().join(name)
}

/// The named steps, or all steps without names. With `needs`, also the steps that they need.
pub(crate) fn chosen(steps: &'static [Step], names: &[String], needs: bool) -> Vec<&'static Step> {
    let mut wanted: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut seen = 0;
    while needs && seen < wanted.len() {
        let name = wanted[seen];
        wanted.extend(steps.iter().filter(|step| step.name == name).flat_map(|step| step.needs));
        seen += 1;
    }
    steps.iter().filter(|step| wanted.is_empty() || wanted.contains(&step.name)).collect()
}

/// Copies a program over one that may still run, for the same command in another terminal.
fn replace(from: &Path, to: &Path) -> std::io::Result<()> {
    let new = to.with_extension(std::process::id().to_string());
    std::fs::copy(from, &new).and_then(|_| std::fs::rename(&new, to))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Asserts that the steps are in an order in which they can run.
    pub(crate) fn assert_needed_steps_stand_earlier(steps: &[Step]) {
        for (at, step) in steps.iter().enumerate() {
            for need in step.needs {
                assert!(steps[..at].iter().any(|before| before.name == *need), "{} needs {need}", step.name);
            }
        }
    }

    /// The running program is the one of this test.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_running_program_can_be_replaced() -> std::io::Result<()> {
        let folder = std::env::temp_dir().join(format!("xtask-replace-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let (from, to) = (folder.join("new"), folder.join("program"));
        std::fs::write(&from, "new")?;
        std::os::unix::fs::symlink(std::env::current_exe()?, &to)?;
        let outcome = replace(&from, &to);
        let now = std::fs::read(&to)?;
        std::fs::remove_dir_all(folder)?;
        outcome?;
        assert_eq!(now, b"new");
        Ok(())
    }
}
