//! Texts, and keys with their labels. Of those that come without end (names of threads and tasks that are over, keys of
//! items, paths) only so many are kept: the last ones, and more than a source knows of before it defines them anew. It
//! does not know what a text is shown for.

use std::collections::VecDeque;
use std::sync::Arc;

use racetrace_probes::wire::is_name;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::event::{KeyId, TextId};

/// Keys, and paths, that are kept. The agent forgets what it has defined when it has defined three quarters of that.
const MOST_KEYS: usize = 1 << 17;
const MOST_PATHS: usize = 1 << 16;

#[derive(Debug, Default)]
pub struct Texts {
    texts: FxHashMap<TextId, Arc<str>>,
    keys: FxHashMap<KeyId, TextId>,
    /// Keys in the order in which they were defined; again where they were defined again.
    key_line: VecDeque<(KeyId, TextId)>,
    /// Texts that are paths, in the order in which they were first used, and the last of them.
    path_line: VecDeque<TextId>,
    newest_path: Option<TextId>,
    /// Texts that objects are named by as long as they live.
    labels: FxHashSet<TextId>,
}

impl Texts {
    pub fn define(&mut self, id: TextId, text: &str) {
        self.texts.insert(id, Arc::from(text));
    }

    pub fn get(&self, id: TextId) -> Option<&str> {
        self.texts.get(&id).map(|text| &**text)
    }

    /// Nothing is named by that text any more.
    pub fn forget(&mut self, id: TextId) {
        self.texts.remove(&id);
    }

    pub fn define_key(&mut self, id: KeyId, label: TextId) {
        self.keys.insert(id, label);
        self.key_line.push_back((id, label));
        if self.key_line.len() > MOST_KEYS
            && let Some((oldest, label)) = self.key_line.pop_front()
        {
            if self.keys.get(&oldest) == Some(&label) {
                self.keys.remove(&oldest);
            }
            // What is no name is nobody else's.
            if self.get(label).is_some_and(|text| !is_name(text)) && self.keys.get(&oldest) != Some(&label) {
                self.forget(label);
            }
        }
    }

    pub fn key(&self, id: KeyId) -> Option<&str> {
        self.get(*self.keys.get(&id)?)
    }

    /// An object is named by that text.
    pub fn is_label(&mut self, id: TextId) {
        self.labels.insert(id);
    }

    /// The text is a path. Texts are numbered as they come: a path with a number above all others is a new one.
    pub fn is_path(&mut self, id: TextId) {
        if Some(id) <= self.newest_path || self.get(id).is_none_or(|text| !text.contains('/')) {
            return;
        }
        self.newest_path = Some(id);
        self.path_line.push_back(id);
        if self.path_line.len() > MOST_PATHS
            && let Some(oldest) = self.path_line.pop_front().filter(|oldest| !self.labels.contains(oldest))
        {
            self.forget(oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_without_end_take_no_more_memory() {
        let mut texts = Texts::default();
        texts.define(TextId(1), "name");
        texts.define_key(KeyId(1), TextId(1));
        for number in 2..3 * MOST_KEYS as u32 {
            texts.define(TextId(number), &format!("'user{number}'"));
            texts.define_key(KeyId(u64::from(number)), TextId(number));
        }
        assert_eq!((texts.keys.len(), texts.key_line.len()), (MOST_KEYS, MOST_KEYS));
        assert_eq!(texts.texts.len(), MOST_KEYS + 1, "the name of an attribute may be that of something else too");
        let last = 3 * MOST_KEYS as u64 - 1;
        assert_eq!(texts.key(KeyId(last)), Some(format!("'user{last}'").as_str()));
        assert_eq!(texts.key(KeyId(2)), None);
    }

    #[test]
    fn a_key_that_is_defined_again_stays() {
        let mut texts = Texts::default();
        for number in 1..2 * MOST_KEYS as u32 {
            if number as usize % (MOST_KEYS / 2) == 1 {
                texts.define(TextId(number), "'again'");
                texts.define_key(KeyId(7), TextId(number));
            } else {
                texts.define_key(KeyId(u64::from(number) + 7), TextId(number));
            }
            assert_eq!(texts.key(KeyId(7)), Some("'again'"));
        }
    }

    #[test]
    fn paths_without_end_take_no_more_memory_and_labels_stay() {
        let mut texts = Texts::default();
        texts.is_label(TextId(1));
        for number in 1..3 * MOST_PATHS as u32 {
            texts.define(TextId(number), "/tmp/some");
            texts.is_path(TextId(number));
            texts.is_path(TextId(number));
        }
        assert_eq!(texts.texts.len(), MOST_PATHS + 1);
        assert_eq!(texts.get(TextId(1)), Some("/tmp/some"));
    }
}
