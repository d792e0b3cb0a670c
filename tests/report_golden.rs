//! Every format against golden files in `tests/golden`. `RACETRACE_BLESS=1 cargo test --test report_golden` rewrites them;
//! look at the difference before committing it.

mod golden;

use golden::{check, render, sample};
use racetrace::report::{Color, Format, Options};

#[test]
fn every_format_of_the_shop() {
    let (report, sources) = sample("shop");
    for format in Format::ALL {
        check(&format!("shop.{format}"), &render(format, &report, &sources, &Options::default()));
    }
}

#[test]
fn every_format_of_a_clean_run() {
    let (report, sources) = sample("clean");
    for format in Format::ALL {
        check(&format!("clean.{format}"), &render(format, &report, &sources, &Options::default()));
    }
}

#[test]
fn text_in_colour_and_in_a_narrow_terminal() {
    let (report, sources) = sample("shop");
    check("shop.color.text", &render(Format::Text, &report, &sources, &Options { color: Color::Always, width: 100 }));
    check("shop.narrow.text", &render(Format::Text, &report, &sources, &Options { color: Color::Never, width: 50 }));
}
