//! The times of each step on this machine, in the file `times` beside the logs of the steps.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Seconds of the latest runs of each step, oldest first.
pub(super) struct Times {
    file: PathBuf,
    runs: BTreeMap<String, Vec<f32>>,
}

/// How many runs count. So one build from an empty folder has little effect.
const KEPT: usize = 5;

impl Times {
    /// Reads the file, which has a line for each step: its name and the seconds. Ignores what it
    /// cannot read.
    pub(super) fn load(file: PathBuf) -> Self {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let line = |line: &str| {
            let mut words = line.split_whitespace();
            let name = words.next()?.to_owned();
            Some((name, words.filter_map(|word| word.parse().ok()).collect()))
        };
        Self { file, runs: text.lines().filter_map(line).collect() }
    }

    /// Returns the median of the latest runs, or `otherwise` if there was no run.
    pub(super) fn usual(&self, step: &str, otherwise: u64) -> Duration {
        let mut runs = self.runs.get(step).cloned().unwrap_or_default();
        runs.retain(|seconds| seconds.is_finite() && *seconds >= 0.0);
        runs.sort_by(f32::total_cmp);
        let median = runs.get(runs.len() / 2);
        median.map_or(Duration::from_secs(otherwise), |seconds| Duration::from_secs_f32(*seconds))
    }

    /// Records a run. Ignores a file that cannot be written: only the estimates get worse.
    pub(super) fn took(&mut self, step: &str, time: Duration) {
        let runs = self.runs.entry(step.to_owned()).or_default();
        runs.push(time.as_secs_f32());
        runs.drain(..runs.len().saturating_sub(KEPT));
        let line = |(name, runs): (&String, &Vec<f32>)| {
            let seconds: String = runs.iter().map(|seconds| format!(" {seconds:.1}")).collect();
            format!("{name}{seconds}\n")
        };
        let text: String = self.runs.iter().map(line).collect();
        drop(std::fs::write(&self.file, text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_time_is_the_median_of_the_latest_runs() {
        let file = std::env::temp_dir().join(format!("xtask-times-{}", std::process::id()));
        std::fs::write(&file, "lints 1 2 x NaN\n\nno-std\n").unwrap();
        let mut times = Times::load(file.clone());
        assert_eq!(times.usual("lints", 9), Duration::from_secs(2));
        assert_eq!(times.usual("no-std", 9), Duration::from_secs(9));
        for seconds in [100, 3, 4, 5, 5, 5] {
            times.took("lints", Duration::from_secs(seconds));
        }
        assert_eq!(Times::load(file.clone()).usual("lints", 9), Duration::from_secs(5));
        std::fs::remove_file(file).unwrap();
    }
}
