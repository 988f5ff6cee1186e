//! Cycles of a directed graph: its strongly connected components, and a few short cycles of each.

use std::collections::VecDeque;

/// For each node, the nodes that its arrows point at.
pub(super) type Arrows = [Vec<usize>];

/// The strongly connected components of more than one node, each sorted.
///
/// Tarjan's algorithm: a node whose subtree reaches no older node completes a component.
pub(super) fn components(arrows: &Arrows) -> Vec<Vec<usize>> {
    let count = arrows.len();
    let mut search = Search {
        arrows,
        number: vec![None; count],
        low: vec![0; count],
        open: vec![false; count],
        stack: Vec::new(),
        found: Vec::new(),
        next: 0,
    };
    for node in 0..count {
        if search.number[node].is_none() {
            search.visit(node);
        }
    }
    search.found
}

struct Search<'a> {
    arrows: &'a Arrows,
    /// The order in which the nodes were visited.
    number: Vec<Option<usize>>,
    /// The oldest node on the stack that is reached from this one.
    low: Vec<usize>,
    open: Vec<bool>,
    stack: Vec<usize>,
    found: Vec<Vec<usize>>,
    next: usize,
}

impl Search<'_> {
    /// The recursion is as deep as the longest chain of files, which is short.
    fn visit(&mut self, node: usize) {
        let number = self.next;
        self.next += 1;
        self.number[node] = Some(number);
        self.low[node] = number;
        self.open[node] = true;
        self.stack.push(node);
        for &to in &self.arrows[node] {
            match self.number[to] {
                None => {
                    self.visit(to);
                    self.low[node] = self.low[node].min(self.low[to]);
                }
                Some(other) if self.open[to] => self.low[node] = self.low[node].min(other),
                Some(_) => {}
            }
        }
        if self.low[node] == number {
            let begin = self.stack.iter().rposition(|&open| open == node).unwrap_or(0);
            let mut component = self.stack.split_off(begin);
            for &member in &component {
                self.open[member] = false;
            }
            if component.len() > 1 {
                component.sort_unstable();
                self.found.push(component);
            }
        }
    }
}

/// Short cycles that together pass through every node of the component, the shortest first.
pub(super) fn shortest(arrows: &Arrows, component: &[usize]) -> Vec<Vec<usize>> {
    let mut cycles: Vec<_> = component.iter().filter_map(|&node| through(arrows, component, node)).collect();
    cycles.sort_by_key(Vec::len);
    let mut shown = Vec::new();
    cycles.retain(|cycle| {
        let new = cycle.iter().any(|node| !shown.contains(node));
        shown.extend(cycle);
        new
    });
    cycles
}

/// The shortest cycle through the node, beginning with it.
fn through(arrows: &Arrows, component: &[usize], node: usize) -> Option<Vec<usize>> {
    let mut before = vec![None; arrows.len()];
    let mut queue = VecDeque::from([node]);
    while let Some(at) = queue.pop_front() {
        for &to in &arrows[at] {
            if to == node {
                let mut path: Vec<_> = std::iter::successors(Some(at), |&at| before[at]).collect();
                path.reverse();
                return Some(path);
            }
            if before[to].is_none() && component.contains(&to) {
                before[to] = Some(at);
                queue.push_back(to);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_graph_without_a_cycle_has_no_components() {
        assert!(components(&[vec![1, 2], vec![2], vec![], vec![0, 1]]).is_empty());
    }

    #[test]
    fn nodes_that_reach_each_other_are_a_component_with_its_shortest_cycles() {
        // 0 and 1 use each other; 2 -> 3 -> 4 -> 2, with 4 <-> 5; 6 uses them all.
        let arrows = [vec![1], vec![0, 2], vec![3], vec![4], vec![2, 5], vec![4], vec![0, 1, 2, 3, 4, 5]];
        let mut components = components(&arrows);
        components.sort();
        assert_eq!(components, [vec![0, 1], vec![2, 3, 4, 5]]);
        assert_eq!(shortest(&arrows, &components[0]), [[0, 1]]);
        assert_eq!(shortest(&arrows, &components[1]), [vec![4, 5], vec![2, 3, 4]]);
    }
}
