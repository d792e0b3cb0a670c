//! JUnit XML, as CI systems read it: a finding is a failure under each test it happened in, or else in a suite of its
//! own, `racetrace`. Notes never fail. Tests without findings are not listed: their own runner reports those.

use super::source::SourceMap;
use super::text::{headline, write_finding};
use super::words;
use super::{Color, Options};
use crate::finding::{Finding, Report, Severity};
use quick_xml::events::{BytesDecl, BytesText, Event};
use quick_xml::writer::Writer;
use std::collections::BTreeMap;
use std::io::{self, Write};

const SUITE: &str = "racetrace";

/// Class and name of a test case.
type CaseName = (String, String);

/// # Errors
/// Those of `out`.
pub fn write(report: &Report, sources: &SourceMap, out: &mut dyn Write) -> io::Result<()> {
    let suites = suites(report, sources);
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 1);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let total: usize = suites.values().map(BTreeMap::len).sum();
    let failing: usize = suites.values().map(failures).sum();
    xml.create_element("testsuites")
        .with_attributes([("name", SUITE), ("tests", &total.to_string()), ("failures", &failing.to_string())])
        .write_inner_content(|xml| {
            for (name, cases) in &suites {
                suite(xml, name, cases, report, sources)?;
            }
            Ok(())
        })?;
    out.write_all(&xml.into_inner())?;
    out.write_all(b"\n")
}

type Suites<'a> = BTreeMap<String, BTreeMap<CaseName, Vec<&'a Finding>>>;

/// Findings by suite and test case.
fn suites<'a>(report: &'a Report, sources: &SourceMap) -> Suites<'a> {
    let mut suites: Suites<'a> = BTreeMap::new();
    let own = suites.entry(SUITE.to_owned()).or_default();
    // A run without findings shows as one passing case, not as nothing.
    own.insert((SUITE.to_owned(), "watched".to_owned()), Vec::new());
    for finding in &report.findings {
        if finding.tests.is_empty() {
            let site = finding.accesses.first().and_then(|access| access.stack.first());
            let place = site.map(|frame| format!(" at {}", words::frame(sources, frame))).unwrap_or_default();
            let name = format!("{}{place}", words::name(&finding.subject.name));
            let case = (format!("{SUITE}.{}", finding.kind), name);
            suites.entry(SUITE.to_owned()).or_default().entry(case).or_default().push(finding);
        }
        for test in &finding.tests {
            let case = case_name(test);
            suites.entry(case.0.clone()).or_default().entry(case).or_default().push(finding);
        }
    }
    suites
}

/// `tests/test_a.py::Case::test_b[x]` (pytest) and `tests.test_a.Case.test_b` (unittest), as their own reports name them.
fn case_name(test: &str) -> CaseName {
    let test = words::name(test);
    let (head, parameters) = match test.find('[') {
        Some(at) => test.split_at(at),
        None => (test.as_str(), ""),
    };
    if let Some((file, rest)) = head.split_once("::") {
        let module = file.strip_suffix(".py").unwrap_or(file).replace('/', ".");
        let (class, name) = rest.rsplit_once("::").map_or((None, rest), |(class, name)| (Some(class.replace("::", ".")), name));
        let class = class.map_or(module.clone(), |class| format!("{module}.{class}"));
        return (class, format!("{name}{parameters}"));
    }
    match head.rsplit_once('.') {
        Some((class, name)) => (class.to_owned(), format!("{name}{parameters}")),
        None => (SUITE.to_owned(), test),
    }
}

fn fails(finding: &&&Finding) -> bool {
    finding.severity > Severity::Note
}

fn failures(cases: &BTreeMap<CaseName, Vec<&Finding>>) -> usize {
    cases.values().filter(|findings| findings.iter().any(|finding| fails(&finding))).count()
}

type Xml = Writer<Vec<u8>>;

fn suite(
    xml: &mut Xml,
    name: &str,
    cases: &BTreeMap<CaseName, Vec<&Finding>>,
    report: &Report,
    sources: &SourceMap,
) -> io::Result<()> {
    let counts = (cases.len().to_string(), failures(cases).to_string());
    xml.create_element("testsuite")
        .with_attributes([("name", name), ("tests", &counts.0), ("failures", &counts.1), ("errors", "0"), ("skipped", "0")])
        .write_inner_content(|xml| {
            for ((class, name), findings) in cases {
                case(xml, (class, name), findings, sources)?;
            }
            if name == SUITE { system_out(xml, &coverage(report)) } else { Ok(()) }
        })?;
    Ok(())
}

fn case(xml: &mut Xml, (class, name): (&str, &str), findings: &[&Finding], sources: &SourceMap) -> io::Result<()> {
    let element = xml.create_element("testcase").with_attributes([("classname", class), ("name", name), ("time", "0")]);
    if findings.is_empty() {
        element.write_empty()?;
        return Ok(());
    }
    element.write_inner_content(|xml| {
        let failing: Vec<&Finding> = findings.iter().filter(fails).copied().collect();
        if let Some(first) = failing.first() {
            // One failure a case: that is what readers of the format agree on.
            let more = failing.len() - 1;
            let more = if more > 0 { format!(" (and {})", words::plural(more as u64, "more finding")) } else { String::new() };
            let message = format!("{}{more}", headline(first, sources, Color::Never));
            xml.create_element("failure")
                .with_attributes([("message", message.as_str()), ("type", first.kind.name())])
                .write_text_content(BytesText::new(&in_words(&failing, sources)))?;
        }
        let notes: Vec<&Finding> = findings.iter().filter(|finding| !fails(finding)).copied().collect();
        if notes.is_empty() { Ok(()) } else { system_out(xml, &in_words(&notes, sources)) }
    })?;
    Ok(())
}

fn system_out(xml: &mut Xml, text: &str) -> io::Result<()> {
    xml.create_element("system-out").write_text_content(BytesText::new(text))?;
    Ok(())
}

fn in_words(findings: &[&Finding], sources: &SourceMap) -> String {
    let mut bytes = Vec::new();
    for finding in findings {
        write_finding(finding, sources, &Options::default(), &mut bytes).expect("writing to memory cannot fail");
        bytes.push(b'\n');
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn coverage(report: &Report) -> String {
    let mut lines = vec![
        format!("racetrace: {}", words::tally(report)),
        format!("watched: {}", words::target(&report.target)),
        format!("watched: {}", words::watched(&report.coverage)),
    ];
    lines.extend(words::missed(&report.coverage).into_iter().map(|sentence| format!("missed: {sentence}")));
    lines.extend(words::hidden(&report.coverage));
    lines.extend(report.notices.iter().map(|notice| format!("notice: {}", super::harmless::harmless(notice))));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_ids_become_the_names_of_the_runners_own_reports() {
        for (id, class, name) in [
            ("tests/test_a.py::test_b", "tests.test_a", "test_b"),
            ("tests/test_a.py::Case::test_b[x::y.z]", "tests.test_a.Case", "test_b[x::y.z]"),
            ("tests.test_a.Case.test_b", "tests.test_a.Case", "test_b"),
            ("test_b", "racetrace", "test_b"),
        ] {
            assert_eq!(case_name(id), (class.to_owned(), name.to_owned()), "{id}");
        }
    }
}
