//! What a run could not watch, in sentences: interpreters that said so, processes left running, and the likely reason
//! when no interpreter was seen at all. It guesses from the command's own words only.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::judge::Remark;
use super::supervise::Ended;
use crate::collect::session::collector::Outcome;
use crate::collect::session::notes::Note;
use crate::command::failure::Failure;
use crate::finding::Report;

/// Everything there is to say, for the report.
pub fn remarks(outcome: &Outcome, notes: &BTreeSet<Note>, ended: &Ended, command: &[OsString]) -> Vec<Remark> {
    let mut remarks = said_by_agents(outcome, notes);
    for pid in &outcome.left_running {
        let why = "it outlived the command and was not waited for any longer; --wait sets how long";
        remarks.push(Remark::new(&format!("the end of process {pid}"), why));
    }
    if outcome.processes == 0 && remarks.is_empty() {
        remarks.push(Remark::new(&shown(command), &why_unseen(ended, command)));
    }
    remarks
}

/// Why some processes were not watched, as they say themselves.
pub fn said_by_agents(outcome: &Outcome, notes: &BTreeSet<Note>) -> Vec<Remark> {
    let noted = notes.iter().map(|note| Remark::new(&note.what, &note.why));
    let refused = outcome.refused.iter().map(|(pid, why)| {
        let what = pid.map_or_else(|| "a process".to_owned(), |pid| format!("process {pid}"));
        Remark::new(&what, why)
    });
    noted.chain(refused).collect()
}

/// For a run in which no interpreter was watched.
pub fn nothing_seen(report: &Report) -> Failure {
    let why = report.coverage.not_watched.join("; ");
    Failure::new(format!("nothing was watched: {why}"))
        .advise("racetrace doctor, or racetrace run -- python3 app.py with a CPython from 3.11 to 3.15")
}

fn shown(command: &[OsString]) -> String {
    command.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn why_unseen(ended: &Ended, command: &[OsString]) -> String {
    let typed: Vec<String> = command.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let through_shebang = typed.first().and_then(|program| shebang(&resolved(program)?));
    let lines = [ended.ran.as_ref().map(|(_, line)| line.clone()), Some(typed), through_shebang];
    let mut python = false;
    for line in lines.into_iter().flatten() {
        if let Some(option) = isolating_option(&line) {
            return format!(
                "Python was started with {option}, which keeps it from loading racetrace's start-up hook; \
                 leave {option} out, or use racetrace --pid on the running process"
            );
        }
        python |= line.first().is_some_and(|program| is_python(program));
    }
    if python {
        "Python ended before it had read its start-up hook, or was kept from reading it (a changed environment, \
         another root directory, a frozen or statically linked program); racetrace --pid can look into the running process"
            .to_owned()
    } else {
        "no Python was seen to start; racetrace run is for commands that run CPython, and in another root directory (chroot, \
         a container) it has to be run there itself"
            .to_owned()
    }
}

/// The option of a Python command line that keeps `PYTHONPATH` or `site` away, if there is one.
fn isolating_option(line: &[String]) -> Option<String> {
    let (program, arguments) = line.split_first()?;
    if !is_python(program) {
        return None;
    }
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let letters = argument.strip_prefix('-').filter(|rest| !rest.is_empty() && !rest.starts_with('-'))?;
        for (at, letter) in letters.char_indices() {
            match letter {
                'I' | 'E' | 'S' => return Some(format!("-{letter}")),
                // The program begins here.
                'c' | 'm' => return None,
                'W' | 'X' => {
                    if at + 1 == letters.len() {
                        arguments.next();
                    }
                    break;
                }
                _ => {}
            }
        }
    }
    None
}

/// `python`, `python3.13t`, `pypy3`, `python3.11-shared` …
fn is_python(program: &str) -> bool {
    let name = Path::new(program).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    ["python", "pypy", "graalpy"].iter().any(|start| name.starts_with(start))
}

fn resolved(program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(PathBuf::from(program));
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|file| file.is_file())
}

/// The command line that a script's first line asks for.
fn shebang(script: &Path) -> Option<Vec<String>> {
    let mut start = Vec::new();
    File::open(script).ok()?.take(256).read_to_end(&mut start).ok()?;
    let text = String::from_utf8_lossy(&start).into_owned();
    let line = text.strip_prefix("#!")?.lines().next()?;
    let words = line.split_whitespace().map(str::to_owned);
    let words: Vec<String> = words.filter(|word| !word.ends_with("/env") && word != "-S").collect();
    (!words.is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn option(line: &str) -> Option<String> {
        isolating_option(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn options_that_keep_the_hook_away_are_recognised() {
        assert_eq!(option("python3 -I app.py").as_deref(), Some("-I"));
        assert_eq!(option("/usr/bin/python3.13t -uE app.py").as_deref(), Some("-E"));
        assert_eq!(option("python -X dev -W ignore -S app.py").as_deref(), Some("-S"));
        assert_eq!(option("python -Xdev -sBS -m x").as_deref(), Some("-S"));
    }

    #[test]
    fn options_of_the_program_are_its_own() {
        for line in [
            "python app.py -I",
            "python -c x -S",
            "python -m app -E",
            "python -X E app.py",
            "python -- -I",
            "grep -I x",
            "python",
        ] {
            assert_eq!(option(line), None, "{line}");
        }
    }

    #[test]
    fn a_first_line_leads_to_its_interpreter() {
        let directory = crate::collect::session::directory::SessionDirectory::create().unwrap();
        let script = directory.notes().join("tool");
        std::fs::write(&script, "#!/usr/bin/env -S python3 -I\nprint()\n").unwrap();
        assert_eq!(isolating_option(&shebang(&script).unwrap()).as_deref(), Some("-I"));
        std::fs::write(&script, b"\x7fELF\xff\xfe").unwrap();
        assert_eq!(shebang(&script), None);
    }
}
