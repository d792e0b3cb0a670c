//! The chrome format, opened by a program for such files: speedscope, from npm's registry, in a headless browser.
//!
//! Where there is no npm, no registry or no browser the test says so and passes; with `RACETRACE_NEED_LOADER=1`, as in CI,
//! it fails instead.

mod browser;
mod golden;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use browser::Browser;
use golden::{render, sample};
use racetrace::report::{Format, Options};

/// Where its page lies, got once.
fn speedscope() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("speedscope");
    let page = folder.join("package/dist/release/index.html");
    let run = |command: &mut Command| command.current_dir(&folder).output().is_ok_and(|output| output.status.success());
    if !page.is_file() {
        fs::create_dir_all(&folder).expect("a folder");
        let packed = run(Command::new("npm").args(["pack", "--silent", "speedscope@1"]));
        let archive = fs::read_dir(&folder).expect("listed").flatten().map(|entry| entry.path());
        let archive = archive.filter(|path| path.extension().is_some_and(|extension| extension == "tgz")).last();
        if !packed || !archive.is_some_and(|archive| run(Command::new("tar").arg("-xzf").arg(archive))) {
            let message = "skipped: speedscope cannot be had from npm's registry";
            assert!(std::env::var_os("RACETRACE_NEED_LOADER").is_none(), "{message}");
            eprintln!("{message}");
            return None;
        }
    }
    Some(page)
}

#[test]
fn a_viewer_for_trace_events_opens_it() {
    let Some(page) = speedscope() else { return };
    let Some(browser) = Browser::start() else { return };
    let (report, sources) = sample("shop");
    let trace = render(Format::Chrome, &report, &sources, &Options::default());
    // As its own command line hands over a file.
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("shop.trace.js");
    fs::write(&file, format!("speedscope.loadFileFromBase64('shop.trace', '{}')", STANDARD.encode(&trace))).expect("written");
    browser.open(&format!("file://{}#localProfilePath={}", page.display(), file.display()));
    browser.wait_for("return document.title.startsWith('shop.trace')");
    let told = browser.console().join("\n");
    assert!(told.contains("Importing as Trace Event Format"), "{told}");
    let shown = browser.run("return document.body.innerText").to_string();
    assert!(shown.contains("racetrace: what was observed"), "{shown}");
}
