//! Source lines and paths as reports show them. Lines that travel with the trace come first, then the disk's; nothing
//! but regular files of a sane size is read.

use crate::finding::Frame;
use crate::finding::policy::Lines;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Larger files are no source that someone reads.
const MOST_BYTES: u64 = 8 << 20;

type FileLines = BTreeMap<u32, String>;

/// Where source lines come from.
#[derive(Debug, Default)]
pub struct SourceMap {
    travelled: BTreeMap<String, FileLines>,
    /// Directories that paths are shown relative to, and that relative paths are looked up in.
    directories: Vec<PathBuf>,
    disk: Disk,
}

#[derive(Debug, Default)]
enum Disk {
    /// Only lines that travelled are known.
    #[default]
    Closed,
    Open(RefCell<BTreeMap<String, FileLines>>),
}

impl SourceMap {
    /// Knows only what is inserted.
    #[must_use]
    pub fn new() -> SourceMap {
        SourceMap::default()
    }

    /// Reads from disk what is not inserted.
    #[must_use]
    pub fn with_disk() -> SourceMap {
        SourceMap { disk: Disk::Open(RefCell::default()), ..SourceMap::default() }
    }

    /// Paths below `directory` are shown relative to it. The one added first counts first.
    #[must_use]
    pub fn relative_to(mut self, directory: impl Into<PathBuf>) -> SourceMap {
        self.add_directory(directory);
        self
    }

    pub fn add_directory(&mut self, directory: impl Into<PathBuf>) {
        let directory = directory.into();
        if directory.is_absolute() && directory.parent().is_some() && !self.directories.contains(&directory) {
            self.directories.push(directory);
        }
    }

    /// The same directories, but no lines: for reports that must not carry source.
    #[must_use]
    pub fn without_source(&self) -> SourceMap {
        SourceMap { directories: self.directories.clone(), ..SourceMap::default() }
    }

    /// `number` counts from 1.
    pub fn insert(&mut self, file: &str, number: u32, text: &str) {
        self.travelled.entry(file.to_owned()).or_default().insert(number, text.to_owned());
    }

    /// A whole file.
    pub fn insert_file(&mut self, file: &str, text: &str) {
        self.travelled.entry(file.to_owned()).or_default().extend(split(text));
    }

    /// The lines that were inserted, for whoever writes a trace.
    pub fn travelled(&self) -> impl Iterator<Item = (&str, u32, &str)> {
        self.travelled.iter().flat_map(|(file, lines)| lines.iter().map(move |(n, text)| (file.as_str(), *n, text.as_str())))
    }

    /// The source at the frame's columns. What goes on in the next lines has none: then it is the line with which it begins.
    pub fn excerpt(&self, frame: &Frame) -> Option<String> {
        let line = self.line(&frame.file, frame.line)?;
        let text = match frame.columns {
            Some((start, end)) => line.get(start as usize..end as usize)?.trim(),
            None => line.trim(),
        };
        let more = if text.ends_with(['(', '[', '{', ',']) { "…" } else { "" };
        (!text.is_empty()).then(|| format!("{text}{more}"))
    }

    fn on_disk<R>(&self, file: &str, look: impl FnOnce(&FileLines) -> R) -> Option<R> {
        let Disk::Open(files) = &self.disk else { return None };
        let mut files = files.borrow_mut();
        Some(look(files.entry(file.to_owned()).or_insert_with(|| self.read(file))))
    }

    fn read(&self, file: &str) -> FileLines {
        let path = Path::new(file);
        let places = std::iter::once(path.to_path_buf()).chain(self.directories.iter().map(|directory| directory.join(path)));
        for place in places {
            let regular = std::fs::metadata(&place).is_ok_and(|meta| meta.is_file() && meta.len() <= MOST_BYTES);
            if regular && let Ok(bytes) = std::fs::read(&place) {
                return split(&String::from_utf8_lossy(&bytes)).collect();
            }
        }
        FileLines::new()
    }
}

impl Lines for SourceMap {
    fn line(&self, file: &str, number: u32) -> Option<String> {
        match self.travelled.get(file) {
            // A file that travelled is not mixed with the disk's, which may be another version.
            Some(lines) => lines.get(&number).cloned(),
            None => self.on_disk(file, |lines| lines.get(&number).cloned()).flatten(),
        }
    }

    fn known(&self, file: &str) -> Vec<(u32, String)> {
        let all = |lines: &FileLines| lines.iter().map(|(n, text)| (*n, text.clone())).collect();
        match self.travelled.get(file) {
            Some(lines) => all(lines),
            None => self.on_disk(file, all).unwrap_or_default(),
        }
    }

    fn shown(&self, file: &str) -> String {
        let path = Path::new(file);
        let below = self.directories.iter().find_map(|directory| path.strip_prefix(directory).ok());
        let below = below.filter(|rest| !rest.as_os_str().is_empty()).unwrap_or(path);
        let text = below.to_string_lossy();
        text.strip_prefix("./").unwrap_or(&text).to_owned()
    }
}

fn split(text: &str) -> impl Iterator<Item = (u32, String)> + '_ {
    text.lines().zip(1..).map(|(line, number)| (number, line.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn travelled_lines_come_before_the_disk() {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("a.py"), "new\nlines\n").expect("written");
        let mut sources = SourceMap::with_disk().relative_to(directory.path());
        assert_eq!(sources.line("a.py", 2).as_deref(), Some("lines"));
        sources.insert("a.py", 1, "old");
        assert_eq!(sources.line("a.py", 1).as_deref(), Some("old"));
        assert_eq!(sources.line("a.py", 2), None);
        assert_eq!(sources.without_source().line("a.py", 1), None);
    }

    #[test]
    fn paths_below_the_directory_are_shown_relative() {
        let sources = SourceMap::new().relative_to("/srv/shop");
        assert_eq!(sources.shown("/srv/shop/cart.py"), "cart.py");
        assert_eq!(sources.shown("/srv/shopping/cart.py"), "/srv/shopping/cart.py");
        assert_eq!(sources.shown("<stdin>"), "<stdin>");
        assert_eq!(SourceMap::new().relative_to("/").shown("/a.py"), "/a.py");
    }
}
