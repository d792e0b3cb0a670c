//! Writes a trace: collects records, appends them as blocks, keeps to a limit. After every flush the file is readable as it
//! is, whatever happens next. Decides nothing about what is recorded, other than leaving out what the options say.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::limit::{self, Placed};
use super::privacy::{WithoutValues, without_values};
use super::v1::block::{self, Kind};
use super::v1::record::{Class, class};
use super::v1::segment::{Encoder, Sealed};
use super::{Error, SourceLines, v1};
use crate::event::Record;
use crate::finding::Report;

/// Whether something of the program goes into the trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    #[default]
    Keep,
    LeaveOut,
}

#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Bytes that the file may have; `None`: no limit. Names and findings are kept even where they alone are larger.
    pub limit: Option<u64>,
    pub sources: Policy,
    pub values: Policy,
}

/// A block is sealed when its records reach this size, unless the limit asks for smaller ones.
const SEGMENT_BYTES: usize = 256 << 10;
/// Smaller limits are raised to this.
const SMALLEST_LIMIT: u64 = 256 << 10;

/// A trace that is being written. Dropping it flushes; only [`Writer::finish`] gives it an end.
pub struct Writer {
    path: PathBuf,
    file: File,
    options: Options,
    filter: Option<WithoutValues>,
    encoder: Encoder,
    segment: u32,
    length: u64,
    /// What stands where, if there is a limit.
    blocks: Vec<Placed>,
    /// Records that are not in the file and not yet said to be missing.
    lost: u64,
    /// The limit is reached by what may not be left out: nothing but names is recorded any more.
    full: bool,
    /// A pipe or a device: cannot be rewritten.
    special: bool,
}

impl Writer {
    /// Creates or replaces the file.
    ///
    /// # Errors
    /// A file that cannot be created or written.
    pub fn create(path: &Path, options: Options) -> Result<Writer, Error> {
        let problem = |error| Error::Create(path.to_owned(), error);
        let special = std::fs::metadata(path).is_ok_and(|meta| !meta.is_file());
        let file = OpenOptions::new().read(!special).write(true).create(true).truncate(true).open(path).map_err(problem)?;
        let mut writer = Writer {
            path: path.to_owned(),
            file,
            filter: (options.values == Policy::LeaveOut).then(WithoutValues::default),
            options: Options { limit: options.limit.map(|limit| limit.max(SMALLEST_LIMIT)), ..options },
            encoder: Encoder::default(),
            segment: 0,
            length: 0,
            blocks: Vec::new(),
            lost: 0,
            full: false,
            special,
        };
        writer.append(&prefix()).map_err(|error| Error::Create(path.to_owned(), error))?;
        Ok(writer)
    }

    /// Adds a record. It is in the file after the next flush; that happens by itself every few thousand records.
    ///
    /// # Errors
    /// A file that cannot be written. The records since the last flush are lost, later ones can still be written.
    pub fn record(&mut self, record: &Record) -> Result<(), Error> {
        match self.filter.take() {
            Some(mut filter) => {
                let result = filter.filter(record, |record| self.put(record));
                self.filter = Some(filter);
                result
            }
            None => self.put(record),
        }
    }

    fn put(&mut self, record: &Record) -> Result<(), Error> {
        if self.full && class(&record.event) != Class::Names {
            self.lost += 1;
            return Ok(());
        }
        self.encoder.put(record);
        if self.encoder.bytes() >= self.segment_bytes() { self.flush() } else { Ok(()) }
    }

    fn segment_bytes(&self) -> usize {
        let share = self.options.limit.map_or(usize::MAX, |limit| usize::try_from(limit / 16).unwrap_or(usize::MAX));
        SEGMENT_BYTES.min(share)
    }

    /// Writes what was recorded to the file.
    ///
    /// # Errors
    /// As [`Writer::record`].
    pub fn flush(&mut self) -> Result<(), Error> {
        if self.encoder.is_empty() {
            return Ok(());
        }
        let blocks = self.encoder.seal(self.segment);
        self.segment = self.segment.wrapping_add(1);
        self.write(blocks)
    }

    /// Source lines that a report will want. Left out if the options say so.
    ///
    /// # Errors
    /// As [`Writer::record`].
    pub fn source(&mut self, lines: &SourceLines) -> Result<(), Error> {
        if self.options.sources == Policy::LeaveOut || lines.is_empty() {
            return Ok(());
        }
        self.document(Kind::Source, &serde_json::to_vec(lines).unwrap_or_default())
    }

    /// What was found so far: stays readable even if the events that showed it have to go.
    ///
    /// # Errors
    /// As [`Writer::record`].
    pub fn findings(&mut self, report: &Report) -> Result<(), Error> {
        let mut report = report.clone();
        if self.options.values == Policy::LeaveOut {
            report = without_values(report);
        }
        let mut bytes = serde_json::to_vec(&report).unwrap_or_default();
        while bytes.len() > block::MAX_DOCUMENT_BYTES as usize && !report.findings.is_empty() {
            report.findings.truncate(report.findings.len() / 2);
            bytes = serde_json::to_vec(&report).unwrap_or_default();
        }
        self.document(Kind::Report, &bytes)
    }

    /// Writes the final report and the end.
    ///
    /// # Errors
    /// As [`Writer::record`].
    pub fn finish(mut self, report: &Report) -> Result<(), Error> {
        self.flush()?;
        self.findings(report)?;
        self.write(vec![Sealed { kind: Kind::End, records: 0, bytes: block::seal(Kind::End, self.segment, 0, &[]) }])
    }

    /// Bytes in the file.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    fn document(&mut self, kind: Kind, raw: &[u8]) -> Result<(), Error> {
        self.flush()?;
        if raw.len() > block::MAX_DOCUMENT_BYTES as usize {
            return Ok(());
        }
        self.write(vec![Sealed { kind, records: 0, bytes: block::seal(kind, self.segment, 0, raw) }])
    }

    /// Appends blocks, after saying what was lost since the last ones.
    fn write(&mut self, mut blocks: Vec<Sealed>) -> Result<(), Error> {
        // A full trace loses records with every segment: they are told once, at the end.
        let told = self.lost > 0 && (!self.full || blocks.iter().any(|block| block.kind == Kind::End));
        if told {
            let bytes = block::seal(Kind::Dropped, self.segment, self.lost, &[]);
            blocks.insert(0, Sealed { kind: Kind::Dropped, records: self.lost, bytes });
        }
        let bytes: Vec<u8> = blocks.iter().flat_map(|block| &block.bytes).copied().collect();
        let start = self.length;
        if let Err(error) = self.append(&bytes) {
            let kinds = [Kind::Names, Kind::Lives, Kind::Detail];
            self.lost += blocks.iter().filter(|block| kinds.contains(&block.kind)).map(|block| block.records).sum::<u64>();
            return Err(Error::Write(self.path.clone(), error));
        }
        if told {
            self.lost = 0;
        }
        self.place(start, &blocks);
        self.keep_to_limit()
    }

    /// All or nothing, as far as the file system lets us.
    fn append(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let result = self.file.write_all(bytes);
        match &result {
            Ok(()) => self.length += bytes.len() as u64,
            Err(_) if !self.special => {
                let _ = self.file.set_len(self.length);
                let _ = self.file.seek(SeekFrom::Start(self.length));
            }
            Err(_) => {}
        }
        result
    }

    fn place(&mut self, start: u64, blocks: &[Sealed]) {
        if self.options.limit.is_none() {
            return;
        }
        let mut offset = start;
        for block in blocks {
            let bytes = block.bytes.len() as u64;
            self.blocks.push(Placed { kind: block.kind, segment: self.segment, records: block.records, offset, bytes });
            offset += bytes;
        }
    }

    fn keep_to_limit(&mut self) -> Result<(), Error> {
        let Some(limit) = self.options.limit.filter(|limit| self.length > *limit && !self.full) else { return Ok(()) };
        if self.special {
            self.full = true;
            return Ok(());
        }
        // Halving makes the cost of rewriting a constant factor of what is written.
        let plan = limit::plan(&self.blocks, limit / 2);
        let problem = |error| Error::Write(self.path.clone(), error);
        let (file, blocks) = limit::rewrite(&self.path, &mut self.file, &prefix(), &plan).map_err(problem)?;
        self.length = blocks.last().map_or(prefix().len() as u64, |block| block.offset + block.bytes);
        self.file = file;
        self.blocks = blocks;
        self.full = self.length > limit / 4 * 3;
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.flush();
    }
}

fn prefix() -> Vec<u8> {
    [&v1::MAGIC[..], &v1::VERSION.to_le_bytes()].concat()
}
