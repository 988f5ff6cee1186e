//! The figures that the load printed.

use crate::document::{median, spread};
use serde_json::Value;
use std::collections::BTreeMap;

/// What every run printed, by table cell and server.
#[derive(Default)]
pub(crate) struct Results(BTreeMap<(String, &'static str), Vec<Value>>);

impl Results {
    pub(crate) fn add(&mut self, cell: &str, server: &'static str, value: Value) {
        self.0.entry((cell.to_owned(), server)).or_default().push(value);
    }

    /// Returns `median (least - most)` of a figure, in this unit.
    pub(crate) fn spread(
        &self,
        cell: &str,
        server: &'static str,
        name: &str,
        unit: f64,
        digits: usize,
    ) -> String {
        let values: Vec<_> = self.sorted(cell, server, name).iter().map(|value| value / unit).collect();
        spread(&values, digits)
    }

    /// Returns the median cost of tidewire divided by that of another server.
    pub(crate) fn ratio(&self, cell: &str, server: &'static str) -> String {
        self.quotient(cell, "cost", "tidewire", server)
    }

    /// Returns the median cost of another server divided by that of tidewire.
    pub(crate) fn inverse(&self, cell: &str, server: &'static str) -> String {
        self.quotient(cell, "cost", server, "tidewire")
    }

    /// Returns the sum of a figure of one server over all cells whose names have these prefixes.
    pub(crate) fn sum(&self, kinds: &[&str], server: &str, name: &str) -> f64 {
        let cells = self
            .0
            .iter()
            .filter(|((cell, whose), _)| *whose == server && kinds.iter().any(|kind| cell.starts_with(kind)));
        cells.flat_map(|(_, values)| values).filter_map(|value| value[name].as_f64()).sum()
    }

    /// Returns the median of a figure of one server divided by that of another one.
    pub(crate) fn quotient(&self, cell: &str, name: &str, over: &'static str, under: &'static str) -> String {
        let (over, under) = (self.sorted(cell, over, name), self.sorted(cell, under, name));
        if over.is_empty() || under.is_empty() {
            return "-".into();
        }
        format!("**{:.2}**", median(&over) / median(&under))
    }

    fn sorted(&self, cell: &str, server: &'static str, name: &str) -> Vec<f64> {
        let values = self.0.get(&(cell.to_owned(), server)).into_iter().flatten();
        let mut values: Vec<f64> = values.filter_map(|value| value[name].as_f64()).collect();
        values.sort_by(f64::total_cmp);
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_figure_uses_only_the_runs_of_its_cell_and_server() {
        let mut results = Results::default();
        for (cell, server, cost) in [("get 1", "tidewire", 4), ("get 1", "axum", 8), ("get 16", "axum", 1)] {
            results.add(cell, server, json!({ "cost": cost }));
        }
        results.add("get 1", "tidewire", json!({ "cost": 2 }));
        assert_eq!(results.spread("get 1", "tidewire", "cost", 2.0, 1), "1.5 (1.0 - 2.0)");
        assert_eq!(results.ratio("get 1", "axum"), "**0.38**");
        assert_eq!(results.inverse("get 1", "axum"), "**2.67**");
        assert_eq!(results.ratio("get 16", "axum"), "-");
        assert_eq!(results.sum(&["get"], "axum", "cost"), 9.0);
    }
}
