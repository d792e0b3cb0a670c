//! The HTML report in a real headless browser, driven through ChromeDriver: it opens, draws and filters, and logs nothing.
//!
//! Needs `chromium` and `chromedriver` (Debian: `apt-get install chromium chromium-driver`). Where there is none the tests say so and
//! pass; with `RACETRACE_NEED_BROWSER=1`, as in CI, they fail instead.

mod browser;
mod golden;

use browser::Browser;
use golden::{render, sample};
use racetrace::finding::{Finding, Report};
use racetrace::report::source::SourceMap;
use racetrace::report::{Format, Options};
use serde_json::{Value, json};

/// The page of this report in a browser, or nothing where there is no browser.
fn open(report: &Report, sources: &SourceMap) -> Option<Browser> {
    let mut browser = Browser::start()?;
    browser.show(&render(Format::Html, report, sources, &Options::default()));
    Some(browser)
}

fn visible(browser: &Browser) -> u64 {
    browser.run("return document.querySelectorAll('.finding:not([hidden])').length").as_u64().expect("a number")
}

#[test]
fn the_page_draws_and_logs_nothing() {
    let (report, sources) = sample("shop");
    let Some(browser) = open(&report, &sources) else { return };
    assert_eq!(browser.run("return document.title"), "racetrace: 7 errors, 5 warnings, 1 note");
    assert_eq!(visible(&browser), 13);
    let first = report.findings.first().expect("there is one");
    browser.run(&format!("location.hash = '#{}'", first.fingerprint));
    browser.wait_for("return document.querySelector('.finding[open] svg') !== null");
    let drawn = browser.run(
        "const svg = document.querySelector('.finding[open] svg'), box = svg.getBoundingClientRect();
         const held = svg.querySelector('.held').getBBox(), span = svg.querySelector('.span').getBBox();
         const conflict = svg.querySelector('.conflict circle').getBBox();
         return {lanes: svg.querySelectorAll('.lane').length, steps: svg.querySelectorAll('.step').length,
                 wide: box.width > 200, inside: conflict.x > span.x && conflict.x < span.x + span.width, below: conflict.y > span.y,
                 held: held.width > 10 && held.x <= conflict.x && held.x + held.width >= conflict.x,
                 window: document.querySelectorAll('.finding[open] .first .code .window').length}",
    );
    let expected = json!({"lanes": 2, "steps": 5, "wide": true, "inside": true, "below": true, "held": true, "window": 6});
    assert_eq!(drawn, expected);
    assert_eq!(browser.console(), Vec::<String>::new());
}

#[test]
fn filters_narrow_and_clear() {
    let (report, sources) = sample("shop");
    let Some(browser) = open(&report, &sources) else { return };
    let choose = |field: &str, value: &str| {
        browser.run(&format!(
            "const field = document.getElementById('{field}'); field.value = '{value}'; field.dispatchEvent(new Event('change'))"
        ));
    };
    for (field, value, expected) in [("severity", "warning", 5), ("kind", "check-then-act", 2), ("file", "stats.py", 3)] {
        choose(field, value);
        assert_eq!(visible(&browser), expected, "{field} {value}");
        choose(field, "");
    }
    browser.type_into("text", "refunds Stats.orders");
    browser.wait_for("return document.getElementById('shown').textContent === '1 of 13'");
    browser.type_into("text", "\u{e00c}");
    browser.wait_for("return document.getElementById('shown').textContent === '13 of 13'");
    choose("severity", "note");
    browser.run("document.getElementById('clear').click()");
    assert_eq!(visible(&browser), 13);
    assert_eq!(browser.console(), Vec::<String>::new());
}

#[test]
fn the_keyboard_reaches_everything() {
    let (report, sources) = sample("shop");
    let Some(browser) = open(&report, &sources) else { return };
    let focused = "return document.activeElement.parentElement.id";
    let id = |index: usize| report.findings.get(index).map(|finding| finding.fingerprint.clone()).expect("it is there");
    browser.press("j");
    assert_eq!(browser.run(focused), id(0));
    browser.press("jj");
    assert_eq!(browser.run(focused), id(2));
    browser.press("k");
    assert_eq!(browser.run(focused), id(1));
    browser.press("\u{e007}");
    browser.wait_for("return document.querySelectorAll('.finding[open] .body').length === 1");
    browser.press("/");
    assert_eq!(browser.run("return document.activeElement.id"), "text");
    assert_eq!(browser.console(), Vec::<String>::new());
}

#[test]
fn hostile_names_are_only_text() {
    let (report, sources) = sample("hostile");
    let Some(browser) = open(&report, &sources) else { return };
    browser.run("document.querySelector('summary').click()");
    browser.wait_for("return document.querySelector('.finding[open] svg') !== null");
    let elements = browser.run("return document.querySelectorAll('img, iframe, object, script[src], [onerror]').length");
    assert_eq!(elements, 0);
    let shown = browser.run("return document.querySelector('.message').textContent");
    assert!(
        shown.as_str().is_some_and(|text| text.contains("<img src=x onerror=alert(1)>") && text.contains("\\u{202e}")),
        "{shown}"
    );
    assert_eq!(browser.console(), Vec::<String>::new());
}

#[test]
fn nothing_is_wider_than_a_phone() {
    let (report, sources) = sample("shop");
    let Some(browser) = open(&report, &sources) else { return };
    browser.resize(390, 800);
    browser.run("document.querySelectorAll('.finding').forEach((finding) => { finding.open = true })");
    browser.wait_for("return document.querySelectorAll('.finding .body').length === 13");
    let overflow = browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth");
    assert_eq!(overflow, 0);
}

#[test]
fn printing_opens_what_is_shown_and_closes_it_again() {
    let (report, sources) = sample("shop");
    let Some(browser) = open(&report, &sources) else { return };
    browser.run(
        "window.printed = 0;
         addEventListener('beforeprint', () => { window.printed = document.querySelectorAll('.finding[open] .body').length })",
    );
    browser.print();
    assert_eq!(browser.run("return window.printed"), 13);
    browser.wait_for("return document.querySelectorAll('.finding[open]').length === 0");
}

#[test]
fn two_thousand_findings_stay_usable() {
    let (mut report, sources) = sample("shop");
    let some = std::mem::take(&mut report.findings);
    report.findings = some.iter().cycle().take(2000).enumerate().map(|(number, finding)| numbered(finding, number)).collect();
    let Some(browser) = open(&report, &sources) else { return };
    assert_eq!(visible(&browser), 2000);
    browser.type_into("text", "number1999");
    browser.wait_for("return document.getElementById('shown').textContent === '1 of 2000'");
    // Bodies are built when they are opened: that is what keeps the page light.
    let built = browser.run("return document.querySelectorAll('.finding .body').length");
    assert_eq!(built, Value::from(0));
    assert_eq!(browser.console(), Vec::<String>::new());
}

fn numbered(finding: &Finding, number: usize) -> Finding {
    let mut finding = finding.clone();
    finding.fingerprint = format!("{number:024x}");
    finding.subject.name = format!("module.number{number}");
    finding
}
