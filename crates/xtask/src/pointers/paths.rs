//! The files and folders of the repository, and how a document names them.

use crate::links;
use std::collections::BTreeSet;
use tidewire_testkit::run::Result;

/// Endings of files that a document may name.
const ENDINGS: [&str; 13] =
    ["cpp", "css", "html", "js", "json", "lock", "md", "mjs", "py", "rs", "toml", "ts", "yml"];

pub(super) struct Paths {
    files: BTreeSet<String>,
    /// Without a slash at the end.
    folders: BTreeSet<String>,
}

/// What stands around a path.
#[derive(Default)]
pub(super) struct Around {
    /// The path before it in the same paragraph, list item or cell.
    pub(super) before: Option<String>,
    pub(super) base: Option<Base>,
}

/// The folder of a README.
pub(super) struct Base {
    pub(super) folder: String,
    /// The folder of its code.
    pub(super) sources: String,
}

impl Paths {
    pub(super) fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let files: BTreeSet<_> = names.map(str::to_owned).collect();
        let mut folders = BTreeSet::new();
        for file in &files {
            folders.extend(file.match_indices('/').map(|(at, _)| file[..at].to_owned()));
        }
        Self { files, folders }
    }

    pub(super) fn is_folder(&self, path: &str) -> bool {
        self.folders.contains(path)
    }

    pub(super) fn has_file(&self, path: &str) -> bool {
        self.files.contains(path)
    }

    /// Whether a code is the name of a file or a folder, also of one that does not exist.
    pub(super) fn looks_like_one(&self, code: &str) -> bool {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./*".contains(&byte);
        // A path that begins with a slash is the path of a URL. `target` has what builds write.
        if !code.bytes().all(allowed) || code.starts_with(['/', '.', '*']) || code.starts_with("target/") {
            return false;
        }
        let ending = code.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map(|(_, ending)| ending);
        let is_file = ending.is_some_and(|ending| ENDINGS.contains(&ending));
        is_file || self.begins_with_a_folder(code) || code.ends_with('/')
    }

    /// The path from the root.
    pub(super) fn resolve(&self, code: &str, around: &Around) -> Result<String> {
        let path = code.trim_end_matches('/');
        let whole = [path.to_owned(), format!("crates/{path}")];
        let near: BTreeSet<_> =
            self.folders(around).into_iter().map(|folder| format!("{folder}/{path}")).collect();
        let pattern = path.replace("NAME", "*");
        if pattern.contains('*') {
            return self.resolve_pattern(&pattern, near.iter().chain(&whole));
        }
        let whole = whole.into_iter().find(|path| self.has(path));
        // In the README of a folder, the files of this folder come first.
        if let Some(path) = whole.clone().filter(|_| around.base.is_none()) {
            return Ok(path);
        }
        let near: Vec<_> = near.into_iter().filter(|path| self.has(path)).collect();
        match near.as_slice() {
            [one] => return Ok(one.clone()),
            [_, _, ..] => {
                let all: Vec<_> = near.iter().map(|path| short(path)).collect();
                return Err(format!("this may be {}; write it longer", all.join(" or ")));
            }
            [] => {}
        }
        whole.ok_or_else(|| {
            let problem = match &around.before {
                _ if code.ends_with('/') => "there is no such folder".to_owned(),
                _ if self.begins_with_a_folder(path) => "there is no such file".to_owned(),
                Some(before) => format!("no folder of {} has it", short(before)),
                None => "this is short, and no path stands before it".to_owned(),
            };
            problem + &self.same_name(path, around.before.as_deref().unwrap_or(code))
        })
    }

    /// The same for a pattern, with all paths that it may mean.
    fn resolve_pattern<'a>(
        &self,
        pattern: &str,
        meant: impl Iterator<Item = &'a String> + Clone,
    ) -> Result<String> {
        let mut all = self.files.iter().chain(&self.folders);
        let is_meant = |path: &&String| meant.clone().any(|meant| matches(&meant.replace("NAME", "*"), path));
        match all.find(is_meant) {
            // A short path after it begins in its folder.
            Some(found) => Ok(parent(found).unwrap_or(found).to_owned()),
            None => Err(format!("nothing has a path such as {pattern}")),
        }
    }

    /// The file that a link leads to. The text of the link must be the end of its path.
    pub(super) fn of_link(&self, document: &str, target: &str, text: &str) -> Result<String> {
        let Some(path) = links::place(document, target) else {
            return self.resolve(text, &Around::default());
        };
        let text = text.trim_end_matches('/');
        if path == text || path.ends_with(&format!("/{text}")) {
            return Ok(path);
        }
        Err(format!("the link leads to {}", short(&path)))
    }

    fn has(&self, path: &str) -> bool {
        self.has_file(path) || self.is_folder(path)
    }

    /// The folders in which a short path may begin: those of the path before it, up to the crate,
    /// or up to the folder of the document.
    fn folders<'a>(&self, around: &'a Around) -> BTreeSet<&'a str> {
        let base = around.base.as_ref();
        let starts = [around.before.as_deref(), base.map(|base| base.sources.as_str())];
        let mut folders = BTreeSet::new();
        for path in starts.into_iter().flatten() {
            let first = if self.is_folder(path) { Some(path) } else { parent(path) };
            let outermost =
                base.map_or(path.starts_with("crates/").into(), |base| base.folder.matches('/').count());
            let all = std::iter::successors(first, |folder| parent(folder));
            folders.extend(all.take_while(|folder| folder.matches('/').count() >= outermost));
        }
        folders
    }

    fn begins_with_a_folder(&self, path: &str) -> bool {
        let first = path.split('/').next().unwrap_or_default();
        path.contains('/') && (self.is_folder(first) || self.is_folder(&format!("crates/{first}")))
    }

    /// The files with the same name, the nearest ones to another path first.
    fn same_name(&self, path: &str, near: &str) -> String {
        let name = path.rsplit('/').next().unwrap_or(path);
        let same = self.files.iter().filter(|file| file.rsplit('/').next() == Some(name));
        let same = nearest(same.map(String::as_str), near);
        if same.is_empty() { String::new() } else { format!("; there is {}", same.join(", ")) }
    }
}

/// How documents write a path: without `crates/`.
pub(super) fn short(path: &str) -> &str {
    path.strip_prefix("crates/").unwrap_or(path)
}

/// The few paths that begin most like another path.
pub(super) fn nearest<'a>(paths: impl IntoIterator<Item = &'a str>, near: &str) -> Vec<&'a str> {
    let common = |path: &str| path.split('/').zip(short(near).split('/')).take_while(|(a, b)| a == b).count();
    let mut paths: Vec<_> = paths.into_iter().map(short).collect();
    paths.sort_by_key(|path| std::cmp::Reverse(common(path)));
    paths.truncate(3);
    paths
}

fn parent(path: &str) -> Option<&str> {
    path.rsplit_once('/').map(|(folder, _)| folder)
}

/// Whether a path fits a pattern, in which `*` is any text without a slash.
fn matches(pattern: &str, path: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == path,
        Some((start, rest)) => path.strip_prefix(start).is_some_and(|path| {
            let ends = path.find('/').unwrap_or(path.len());
            (0..=ends).any(|at| path.is_char_boundary(at) && matches(rest, &path[at..]))
        }),
    }
}
