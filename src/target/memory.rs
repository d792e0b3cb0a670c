//! Reading another address space. Everything above is generic over [`Memory`], so that tests and fuzzers can feed it
//! images. Writing is a trait of its own, [`WriteMemory`].

use std::io::{IoSlice, IoSliceMut};

use nix::errno::Errno;
use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};
use nix::unistd::Pid;

use super::address::RemoteAddr;

/// Why bytes could not be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is mapped there, or what is there makes no sense.
    Unreadable(RemoteAddr),
    /// The process has ended.
    Gone,
    /// The kernel does not allow it.
    Denied,
}

/// A piece of the other address space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    pub at: RemoteAddr,
    pub len: usize,
}

pub trait Memory {
    /// Fills `into` from `at`, or fails as a whole.
    ///
    /// # Errors
    /// What the kernel says; never a partial result.
    fn read(&self, at: RemoteAddr, into: &mut [u8]) -> Result<(), Fault>;

    /// Reads many pieces one after the other into `into` (whose length is their sum), as close together in time as the
    /// source can. Returns how many bytes were read before the first piece that failed.
    ///
    /// # Errors
    /// Only for failures that concern the process as a whole.
    fn gather(&self, pieces: &[Piece], into: &mut [u8]) -> Result<usize, Fault> {
        let mut done = 0;
        for piece in pieces {
            let Some(part) = into.get_mut(done..done + piece.len) else { break };
            match self.read(piece.at, part) {
                Ok(()) => done += piece.len,
                Err(Fault::Unreadable(_)) => break,
                Err(fault) => return Err(fault),
            }
        }
        Ok(done)
    }

    /// Says what will be read next: a memory that keeps what it reads may read it all at once.
    fn prepare(&self, _pieces: &[Piece]) {}

    /// `len` bytes; refuses lengths that no sane structure has.
    ///
    /// # Errors
    /// As [`Memory::read`].
    fn bytes(&self, at: RemoteAddr, len: usize) -> Result<Vec<u8>, Fault> {
        if len > LARGEST_READ {
            return Err(Fault::Unreadable(at));
        }
        let mut buffer = vec![0; len];
        self.read(at, &mut buffer)?;
        Ok(buffer)
    }

    /// # Errors
    /// As [`Memory::read`].
    fn u64(&self, at: RemoteAddr) -> Result<u64, Fault> {
        let mut word = [0; 8];
        self.read(at, &mut word)?;
        Ok(u64::from_ne_bytes(word))
    }

    /// # Errors
    /// As [`Memory::read`].
    fn u32(&self, at: RemoteAddr) -> Result<u32, Fault> {
        let mut word = [0; 4];
        self.read(at, &mut word)?;
        Ok(u32::from_ne_bytes(word))
    }

    /// # Errors
    /// As [`Memory::read`].
    fn u8(&self, at: RemoteAddr) -> Result<u8, Fault> {
        let mut byte = [0; 1];
        self.read(at, &mut byte)?;
        Ok(byte[0])
    }

    /// # Errors
    /// As [`Memory::read`].
    fn pointer(&self, at: RemoteAddr) -> Result<RemoteAddr, Fault> {
        self.u64(at).map(RemoteAddr)
    }

    /// A C string of at most `limit` bytes. Read page by page, because what follows its end may not be mapped.
    ///
    /// # Errors
    /// As [`Memory::read`]; also when no end is found within `limit`.
    fn c_string(&self, at: RemoteAddr, limit: usize) -> Result<String, Fault> {
        let mut text = Vec::new();
        let mut next = at;
        while text.len() < limit {
            let to_page_end = PAGE - (next.0 as usize & (PAGE - 1));
            let part = self.bytes(next, to_page_end.min(limit - text.len()).min(64))?;
            if let Some(end) = part.iter().position(|&byte| byte == 0) {
                text.extend_from_slice(&part[..end]);
                return Ok(String::from_utf8_lossy(&text).into_owned());
            }
            next = next.plus(part.len() as u64);
            text.extend(part);
        }
        Err(Fault::Unreadable(at))
    }
}

impl<M: Memory + ?Sized> Memory for &M {
    fn read(&self, at: RemoteAddr, into: &mut [u8]) -> Result<(), Fault> {
        (**self).read(at, into)
    }

    fn gather(&self, pieces: &[Piece], into: &mut [u8]) -> Result<usize, Fault> {
        (**self).gather(pieces, into)
    }
}

const PAGE: usize = 4096;
/// No single structure that is read is larger (the largest are string values and item arrays, which are capped lower).
const LARGEST_READ: usize = 16 << 20;
/// `IOV_MAX`: the kernel takes no more pieces in one call.
const PIECES_A_CALL: usize = 1024;

/// The memory of a live process, through `process_vm_readv`: nothing is stopped, nothing is written.
#[derive(Debug, Clone, Copy)]
pub struct ProcessMemory {
    pid: Pid,
}

impl ProcessMemory {
    pub fn of(pid: u32) -> ProcessMemory {
        ProcessMemory { pid: Pid::from_raw(i32::try_from(pid).unwrap_or(i32::MAX)) }
    }
}

impl Memory for ProcessMemory {
    fn read(&self, at: RemoteAddr, into: &mut [u8]) -> Result<(), Fault> {
        let len = into.len();
        let Ok(base) = usize::try_from(at.0) else { return Err(Fault::Unreadable(at)) };
        match process_vm_readv(self.pid, &mut [IoSliceMut::new(into)], &[RemoteIoVec { base, len }]) {
            Ok(read) if read == len => Ok(()),
            Ok(_) => Err(Fault::Unreadable(at)),
            Err(errno) => Err(fault(errno, at)),
        }
    }

    fn gather(&self, pieces: &[Piece], into: &mut [u8]) -> Result<usize, Fault> {
        let mut done = 0;
        for batch in pieces.chunks(PIECES_A_CALL) {
            let wanted: usize = batch.iter().map(|piece| piece.len).sum();
            let Some(part) = into.get_mut(done..done + wanted) else { break };
            let remote: Vec<RemoteIoVec> =
                batch.iter().map(|piece| RemoteIoVec { base: piece.at.0 as usize, len: piece.len }).collect();
            let read = match process_vm_readv(self.pid, &mut [IoSliceMut::new(part)], &remote) {
                Ok(read) => read,
                Err(errno) => match fault(errno, RemoteAddr::NULL) {
                    Fault::Unreadable(_) => 0,
                    fault => return Err(fault),
                },
            };
            done += read;
            if read < wanted {
                break;
            }
        }
        Ok(done)
    }
}

/// Writing: apart from [`Memory`], so that what only reads cannot write.
pub trait WriteMemory {
    /// # Errors
    /// What the kernel says.
    fn write(&self, at: RemoteAddr, bytes: &[u8]) -> Result<(), Fault>;

    /// Writes one after the other, as close together in time as can be.
    ///
    /// # Errors
    /// As [`WriteMemory::write`]; then some may have been written.
    fn write_in_order(&self, writes: &[(RemoteAddr, Vec<u8>)]) -> Result<(), Fault> {
        writes.iter().try_for_each(|(at, bytes)| self.write(*at, bytes))
    }

    /// # Errors
    /// As [`WriteMemory::write`].
    fn write_word(&self, at: RemoteAddr, word: u64) -> Result<(), Fault> {
        self.write(at, &word.to_ne_bytes())
    }
}

impl WriteMemory for ProcessMemory {
    fn write(&self, at: RemoteAddr, bytes: &[u8]) -> Result<(), Fault> {
        let remote = [RemoteIoVec { base: at.0 as usize, len: bytes.len() }];
        match process_vm_writev(self.pid, &[IoSlice::new(bytes)], &remote) {
            Ok(written) if written == bytes.len() => Ok(()),
            Ok(_) => Err(Fault::Unreadable(at)),
            Err(errno) => Err(fault(errno, at)),
        }
    }

    fn write_in_order(&self, writes: &[(RemoteAddr, Vec<u8>)]) -> Result<(), Fault> {
        for batch in writes.chunks(PIECES_A_CALL) {
            let local: Vec<IoSlice<'_>> = batch.iter().map(|(_, bytes)| IoSlice::new(bytes)).collect();
            let remote: Vec<RemoteIoVec> =
                batch.iter().map(|(at, bytes)| RemoteIoVec { base: at.0 as usize, len: bytes.len() }).collect();
            let first = batch.first().map_or(RemoteAddr::NULL, |(at, _)| *at);
            let length: usize = remote.iter().map(|piece| piece.len).sum();
            match process_vm_writev(self.pid, &local, &remote) {
                Ok(written) if written == length => {}
                Ok(_) => return Err(Fault::Unreadable(first)),
                Err(errno) => return Err(fault(errno, first)),
            }
        }
        Ok(())
    }
}

fn fault(errno: Errno, at: RemoteAddr) -> Fault {
    match errno {
        Errno::ESRCH => Fault::Gone,
        Errno::EPERM | Errno::EACCES => Fault::Denied,
        _ => Fault::Unreadable(at),
    }
}

/// Memory as it was, in pieces: for tests, fuzzing and saved sessions.
#[derive(Debug, Clone, Default)]
pub struct Image {
    regions: std::collections::BTreeMap<u64, Vec<u8>>,
}

impl Image {
    pub fn add(&mut self, at: RemoteAddr, bytes: Vec<u8>) {
        self.regions.insert(at.0, bytes);
    }

    /// Bytes in all.
    pub fn len(&self) -> usize {
        self.regions.values().map(Vec::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Replaces what is at `at`, as far as it is there.
    pub fn overwrite(&mut self, at: RemoteAddr, bytes: &[u8]) {
        let Some((start, region)) = self.regions.range_mut(..=at.0).next_back() else { return };
        let from = usize::try_from(at.0 - start).unwrap_or(usize::MAX);
        for (old, new) in region.iter_mut().skip(from).zip(bytes) {
            *old = *new;
        }
    }

    /// Takes away the region around `at` from there on.
    pub fn cut(&mut self, at: RemoteAddr) {
        let Some((start, region)) = self.regions.range_mut(..=at.0).next_back() else { return };
        region.truncate(usize::try_from(at.0 - start).unwrap_or(usize::MAX));
    }
}

impl Memory for Image {
    fn read(&self, at: RemoteAddr, into: &mut [u8]) -> Result<(), Fault> {
        let (start, bytes) = self.regions.range(..=at.0).next_back().ok_or(Fault::Unreadable(at))?;
        let from = usize::try_from(at.0 - start).map_err(|_| Fault::Unreadable(at))?;
        let part = from.checked_add(into.len()).and_then(|to| bytes.get(from..to)).ok_or(Fault::Unreadable(at))?;
        into.copy_from_slice(part);
        Ok(())
    }
}

/// Remembers every page that is read through it: turns a live process into an [`Image`].
#[derive(Debug)]
pub struct Recording<M> {
    inner: M,
    pages: std::cell::RefCell<std::collections::BTreeMap<u64, Vec<u8>>>,
}

impl<M: Memory> Recording<M> {
    pub fn new(inner: M) -> Recording<M> {
        Recording { inner, pages: std::cell::RefCell::default() }
    }

    pub fn image(&self) -> Image {
        let mut image = Image::default();
        let mut run: Option<(u64, Vec<u8>)> = None;
        for (at, page) in self.pages.borrow().iter() {
            match &mut run {
                Some((start, bytes)) if *start + bytes.len() as u64 == *at => bytes.extend_from_slice(page),
                _ => {
                    if let Some((start, bytes)) = run.take() {
                        image.add(RemoteAddr(start), bytes);
                    }
                    run = Some((*at, page.clone()));
                }
            }
        }
        if let Some((start, bytes)) = run {
            image.add(RemoteAddr(start), bytes);
        }
        image
    }
}

impl<M: Memory> Memory for Recording<M> {
    fn read(&self, at: RemoteAddr, into: &mut [u8]) -> Result<(), Fault> {
        self.inner.read(at, into)?;
        let mut page = at.0 & !(PAGE as u64 - 1);
        while page < at.0.saturating_add(into.len() as u64) {
            let mut bytes = vec![0; PAGE];
            if self.inner.read(RemoteAddr(page), &mut bytes).is_ok() {
                self.pages.borrow_mut().entry(page).or_insert(bytes);
            }
            page += PAGE as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_gives_exactly_what_it_holds() {
        let mut image = Image::default();
        image.add(RemoteAddr(0x1000), b"hello\0world".to_vec());
        assert_eq!(image.c_string(RemoteAddr(0x1000), 64), Err(Fault::Unreadable(RemoteAddr(0x1000))));
        assert_eq!(image.c_string(RemoteAddr(0x1000), 11).as_deref(), Ok("hello"));
        assert_eq!(image.bytes(RemoteAddr(0x1006), 5).as_deref(), Ok(&b"world"[..]));
        assert!(image.bytes(RemoteAddr(0x1006), 6).is_err());
        assert!(image.bytes(RemoteAddr(u64::MAX), 8).is_err());
        assert!(image.bytes(RemoteAddr(0x1000), usize::MAX).is_err());
    }

    #[test]
    fn gathering_stops_at_the_first_unreadable_piece() {
        let value = [1u8, 2, 3, 4];
        let here = RemoteAddr(value.as_ptr() as u64);
        let memory = ProcessMemory::of(std::process::id());
        let mut into = [0; 12];
        let pieces = [Piece { at: here, len: 4 }, Piece { at: RemoteAddr(8), len: 4 }, Piece { at: here, len: 4 }];
        assert_eq!(memory.gather(&pieces, &mut into), Ok(4));
        assert_eq!(into[..4], value);
    }
}
