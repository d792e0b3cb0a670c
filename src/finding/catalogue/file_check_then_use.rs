//! The page of `file-check-then-use`. Text only.

use super::Page;
use crate::finding::Kind;

pub(super) const PAGE: Page = Page {
    kind: Kind::FileCheckThenUse,
    title: "a path is used on the strength of a check that may no longer hold",
    severity: "error when it was seen split, else warning",
    what: "The program asks about a path (`os.path.exists`, `os.stat`, `os.listdir`) and then opens, creates, renames or removes it, while another \
           thread or process can change that path in between.",
    why: "The file that existed is gone and `open` raises; the file that did not exist now does and is overwritten. Where \
          another user can write to the directory it is a security hole as well.",
    example: "if not os.path.exists(path):
    with open(path, \"w\") as out:      # someone else may have created it by now
        out.write(header)",
    fix: "Leave the check out and handle the outcome: `open(path, \"x\")` with `except FileExistsError`, `except FileNotFoundError` \
          around open or remove, `os.makedirs(path, exist_ok=True)`, `Path.unlink(missing_ok=True)`. Replace files by writing \
          a temporary one and `os.replace`.",
    fixed: "try:
    with open(path, \"x\") as out:      # creates it or fails, in one step
        out.write(header)
except FileExistsError:
    pass",
    false_alarm: "The use may cope with the change already in a way that racetrace does not recognise, or nobody else can reach the directory.",
};
