//! The page of `interleaved-write`. Text only.

use super::Page;
use crate::finding::Kind;

pub(super) const PAGE: Page = Page {
    kind: Kind::InterleavedWrite,
    title: "two writers mix their output in one file",
    severity: "error when a record takes several writes or two handles overwrite each other; note when each record is one call",
    what: "Two threads, tasks or processes write to the same file without order between them, and a record consists of more \
           than one write, or each has a handle with a position of its own.",
    why: "Lines end up inside one another, or one writer's bytes replace the other's. The file is wrong although every write succeeded, \
          and whoever reads it finds out much later.",
    example: "def log(event):
    out.write(event.name)
    out.write(\" \")
    out.write(event.value + \"\\n\")     # another thread's record may begin in between",
    fix: "Make each record one `write` of a complete line on one handle, and hold a lock around it; or give one thread the \
          file and send records to it through a queue; or use `logging`, whose handlers lock. Between processes open in \
          append mode and write each record at once, or lock the file.",
    fixed: "def log(event):
    line = f\"{event.name} {event.value}\\n\"
    with out_lock:
        out.write(line)
        out.flush()",
    false_alarm: "The order of records may not matter, and each is written at once: then the finding is a note. A file that \
                  nobody parses can be suppressed by its name.",
};
