//! Symbols and sections of an ELF file that is mapped in a process: the only module that knows goblin. It finds
//! addresses; what lies there is for others to say.

use std::path::{Path, PathBuf};

use goblin::elf::Elf;
use goblin::elf::program_header::PT_LOAD;

use super::address::RemoteAddr;
use super::maps::Mapping;

/// An executable or shared library within a process.
#[derive(Debug)]
pub struct Module {
    pub path: PathBuf,
    /// What must be added to the file's virtual addresses.
    bias: u64,
    data: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ElfError {
    /// The file cannot be opened: deleted, replaced, or in a place that cannot be reached.
    Unreachable(String),
    Malformed,
    /// A 32-bit program.
    Narrow,
}

impl Module {
    /// Opens the file behind the mappings of `path` as the process sees it: first the very mapping
    /// (`map_files` works for deleted files too, but needs privileges), then the path below the process's root.
    ///
    /// # Errors
    /// When there is no such mapping, or the file is not a readable 64-bit ELF file.
    pub fn open(pid: u32, path: &Path, mappings: &[Mapping]) -> Result<Module, ElfError> {
        let lowest = mappings
            .iter()
            .filter(|mapping| mapping.path.as_deref() == Some(path))
            .min_by_key(|mapping| mapping.start)
            .ok_or_else(|| ElfError::Unreachable(format!("{} is not mapped", path.display())))?;
        let exact = format!("/proc/{pid}/map_files/{:x}-{:x}", lowest.start.0, lowest.end.0);
        let data = std::fs::read(&exact)
            .or_else(|_| std::fs::read(below_root(pid, path)))
            .map_err(|error| ElfError::Unreachable(error.to_string()))?;
        if data.get(4) == Some(&1) {
            return Err(ElfError::Narrow);
        }
        let elf = Elf::parse(&data).map_err(|_| ElfError::Malformed)?;
        let load = elf.program_headers.iter().find(|header| header.p_type == PT_LOAD && header.p_offset <= lowest.file_offset);
        let first = load.ok_or(ElfError::Malformed)?.p_vaddr & !0xfff;
        let bias = lowest.start.0.wrapping_sub(lowest.file_offset).wrapping_sub(first);
        Ok(Module { path: path.to_owned(), bias, data })
    }

    /// The run-time address of a section, if the file still has its section headers.
    pub fn section(&self, name: &str) -> Option<RemoteAddr> {
        let elf = Elf::parse(&self.data).ok()?;
        let header = elf.section_headers.iter().find(|header| elf.shdr_strtab.get_at(header.sh_name) == Some(name))?;
        (header.sh_addr != 0).then(|| RemoteAddr(header.sh_addr.wrapping_add(self.bias)))
    }

    /// The run-time addresses of several symbols, in one pass: dynamic ones first, then the full table.
    pub fn symbols<const N: usize>(&self, names: [&str; N]) -> [Option<RemoteAddr>; N] {
        let mut found = [None; N];
        let Ok(elf) = Elf::parse(&self.data) else { return found };
        let dynamic = elf.dynsyms.iter().map(|symbol| (symbol.st_value, elf.dynstrtab.get_at(symbol.st_name)));
        let full = elf.syms.iter().map(|symbol| (symbol.st_value, elf.strtab.get_at(symbol.st_name)));
        for (value, name) in dynamic.chain(full) {
            if value == 0 {
                continue;
            }
            for (place, wanted) in found.iter_mut().zip(names) {
                if place.is_none() && name == Some(wanted) {
                    *place = Some(RemoteAddr(value.wrapping_add(self.bias)));
                }
            }
        }
        found
    }
}

fn below_root(pid: u32, path: &Path) -> PathBuf {
    let text = path.to_string_lossy();
    let text = text.strip_suffix(" (deleted)").unwrap_or(&text);
    PathBuf::from(format!("/proc/{pid}/root{text}"))
}
