//! A producer for tests: writes a ring as the agent does, on a file instead of a mapping. It is as careless as a dying
//! process when asked to be.

use std::fs::{self, File};
use std::mem::offset_of;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use racetrace_probes::wire::{self, BLOB_BYTES, FILE_BYTES, HEADER_BYTES, Header, Kind, SLOT_BYTES, SLOTS, Slot};

pub struct Producer {
    file: File,
    head: u64,
    blob_head: u64,
}

impl Producer {
    /// A ring of that process in `rings`, in place at once.
    pub fn create(rings: &Path, pid: u32, number: u32) -> Self {
        let temporary = rings.join(format!(".{pid}-{number}.new"));
        let file = File::options().read(true).write(true).create_new(true).open(&temporary).unwrap();
        file.set_len(FILE_BYTES).unwrap();
        let producer = Producer { file, head: 0, blob_head: 0 };
        producer.put(offset_of!(Header, magic), &wire::MAGIC.to_le_bytes());
        producer.put(offset_of!(Header, version), &wire::VERSION.to_le_bytes());
        producer.put(offset_of!(Header, pid), &pid.to_le_bytes());
        fs::rename(&temporary, Self::path(rings, pid, number)).unwrap();
        producer
    }

    pub fn path(rings: &Path, pid: u32, number: u32) -> PathBuf {
        rings.join(format!("{pid}-{number}.ring"))
    }

    fn put(&self, offset: usize, bytes: &[u8]) {
        self.file.write_all_at(bytes, offset as u64).unwrap();
    }

    fn get(&self, offset: usize) -> u64 {
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes, offset as u64).unwrap();
        u64::from_le_bytes(bytes)
    }

    pub fn tail(&self) -> u64 {
        self.get(offset_of!(Header, tail))
    }

    pub fn blob_tail(&self) -> u64 {
        self.get(offset_of!(Header, blob_tail))
    }

    pub fn state(&self) -> u32 {
        self.get(offset_of!(Header, state)) as u32
    }

    pub fn set_head(&self, head: u64) {
        self.put(offset_of!(Header, head), &head.to_le_bytes());
    }

    /// Claims a slot, and leaves it as it was.
    pub fn claim(&mut self) -> u64 {
        self.head += 1;
        self.set_head(self.head);
        self.head - 1
    }

    /// Fills a claimed slot.
    pub fn fill(&self, sequence: u64, slot: Slot) {
        let mut bytes = Vec::with_capacity(SLOT_BYTES);
        for word in [sequence + 1, slot.time] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.extend_from_slice(&slot.tid.to_le_bytes());
        bytes.extend_from_slice(&[slot.kind, slot.small]);
        bytes.extend_from_slice(&slot.short.to_le_bytes());
        for word in [slot.stack, slot.word] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        for word in [slot.a, slot.b, slot.c, slot.d] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        assert_eq!(bytes.len(), SLOT_BYTES);
        self.put(HEADER_BYTES + (sequence % SLOTS) as usize * SLOT_BYTES, &bytes);
    }

    pub fn push(&mut self, slot: Slot) {
        let sequence = self.claim();
        self.fill(sequence, slot);
    }

    pub fn push_blob(&mut self, slot: Slot, bytes: &[u8]) {
        let length = bytes.len() as u64;
        if self.blob_head % BLOB_BYTES + length > BLOB_BYTES {
            self.blob_head += BLOB_BYTES - self.blob_head % BLOB_BYTES;
        }
        let start = HEADER_BYTES + SLOTS as usize * SLOT_BYTES + (self.blob_head % BLOB_BYTES) as usize;
        self.put(start, bytes);
        let position = self.blob_head;
        self.blob_head += length;
        self.put(offset_of!(Header, blob_head), &self.blob_head.to_le_bytes());
        self.push(Slot { a: position, b: length, ..slot });
    }

    pub fn text(&mut self, id: u32, text: &str) {
        self.push_blob(Slot { kind: Kind::Text as u8, word: id, ..Slot::default() }, text.as_bytes());
    }

    pub fn drop_records(&self, count: u64) {
        self.put(offset_of!(Header, dropped), &count.to_le_bytes());
    }

    pub fn say_goodbye(&mut self) {
        self.push(Slot { kind: Kind::ProcessEnd as u8, ..Slot::default() });
        self.put(offset_of!(Header, state), &wire::STATE_ENDED.to_le_bytes());
    }
}
