//! The machine formats, read by their own schemas and readers; and names that try to act, in every format.

mod golden;

use golden::{render, sample};
use racetrace::report::harmless::is_harmful;
use racetrace::report::{Color, Format, Options};
use serde_json::Value;

const SAMPLES: [&str; 3] = ["shop", "clean", "hostile"];

fn json(format: Format, name: &str) -> Value {
    let (report, sources) = sample(name);
    serde_json::from_str(&render(format, &report, &sources, &Options::default())).expect("JSON")
}

#[test]
fn sarif_is_valid_against_the_standards_schema() {
    let schema = serde_json::from_str(include_str!("golden/schema/sarif-2.1.0.json")).expect("the schema");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    for name in SAMPLES {
        let log = json(Format::Sarif, name);
        let errors: Vec<String> = validator.iter_errors(&log).map(|error| format!("{}: {error}", error.instance_path)).collect();
        assert_eq!(errors, Vec::<String>::new(), "{name}");
    }
}

#[test]
fn sarif_has_what_code_scanning_asks_for() {
    let log = json(Format::Sarif, "shop");
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
    let results = run["results"].as_array().expect("results");
    assert_eq!(results.len(), 13);
    for result in results {
        let rule = &rules[usize::try_from(result["ruleIndex"].as_u64().expect("an index")).expect("small")];
        assert_eq!(rule["id"], result["ruleId"]);
        assert!(rule["help"]["markdown"].as_str().is_some_and(|help| help.contains("How to fix it")));
        assert!(result["partialFingerprints"]["racetrace/v1"].as_str().is_some_and(|fingerprint| fingerprint.len() == 24));
        assert_eq!(result["locations"].as_array().map(Vec::len), Some(1));
        let uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].as_str().expect("a file");
        assert!(!uri.starts_with('/') && !uri.contains(':'), "{uri} is not relative");
        assert!(result["codeFlows"][0]["threadFlows"].as_array().is_some_and(|flows| !flows.is_empty()));
    }
    let observed = results.iter().find(|result| result["properties"]["subject"] == "stats.orders").expect("the lost update");
    let orders: Vec<Vec<u64>> = observed["codeFlows"][0]["threadFlows"]
        .as_array()
        .expect("flows")
        .iter()
        .map(|flow| {
            flow["locations"].as_array().expect("steps").iter().filter_map(|step| step["executionOrder"].as_u64()).collect()
        })
        .collect();
    assert_eq!(orders, [vec![1, 3], vec![2]], "the conflict lies inside the window");
}

#[test]
fn junit_is_read_as_failures_under_their_tests() {
    for name in SAMPLES {
        let (report, sources) = sample(name);
        let text = render(Format::Junit, &report, &sources, &Options::default());
        let suites = junit_parser::from_reader(text.as_bytes()).expect("a JUnit report");
        let cases = suites.suites.iter().flat_map(|suite| &suite.cases);
        let failing: Vec<String> = cases
            .filter(|case| case.status.is_failure())
            .map(|case| format!("{} {}", case.classname.clone().unwrap_or_default(), case.original_name))
            .collect();
        assert_eq!(suites.failures as usize, failing.len(), "{name}");
        assert_eq!(suites.suites.iter().map(|suite| suite.failures).sum::<u64>(), suites.failures, "{name}");
        if name == "shop" {
            let expected = ["tests.test_orders test_many_orders", "tests.test_cache.CacheTest test_price"];
            for case in expected {
                assert!(failing.iter().any(|failing| failing == case), "{case} is not among {failing:?}");
            }
        }
        if name == "clean" {
            assert_eq!((suites.tests, failing.len()), (1, 0));
        }
    }
}

/// What Perfetto's importer of this format asks for (its `json_trace_parser`), checked event by event.
#[test]
fn trace_events_have_what_a_viewer_needs() {
    for name in SAMPLES {
        let document = json(Format::Chrome, name);
        let events = document["traceEvents"].as_array().expect("events");
        for event in events {
            assert!(event["pid"].is_u64() && event["tid"].is_u64() && event["name"].is_string(), "{event}");
            let timed = event["ts"].as_f64().is_some_and(|ts| ts >= 0.0);
            let fits = match event["ph"].as_str() {
                Some("M") => event["args"]["name"].is_string(),
                Some("X") => timed && event["dur"].as_f64().is_some_and(|dur| dur >= 0.0),
                Some("i") => timed && event["s"] == "t",
                Some("b" | "e") => timed && event["id"].is_string() && event["cat"].is_string(),
                _ => false,
            };
            assert!(fits, "{event}");
        }
        if name == "shop" {
            let windows = events.iter().filter(|event| event["cat"] == "window").count();
            assert_eq!(windows, 3, "one for each finding whose timeline has a stretch");
        }
    }
}

#[test]
fn json_reads_back_as_it_was() {
    for name in SAMPLES {
        let (report, sources) = sample(name);
        let text = render(Format::Json, &report, &sources, &Options::default());
        let read: racetrace::finding::Report = serde_json::from_str(&text).expect("a report");
        assert_eq!(read, report, "{name}");
    }
}

#[test]
fn hostile_names_do_not_act_in_any_format() {
    let (report, sources) = sample("hostile");
    for format in Format::ALL {
        let text = render(format, &report, &sources, &Options { color: Color::Never, width: 80 });
        let acting: Vec<char> = text.chars().filter(|c| is_harmful(*c) && *c != '\n').collect();
        assert_eq!(acting, Vec::<char>::new(), "{format}");
    }
}

#[test]
fn hostile_names_stay_inside_their_annotation() {
    let (report, sources) = sample("hostile");
    let text = render(Format::Github, &report, &sources, &Options::default());
    for line in text.lines().filter(|line| line.starts_with("::")) {
        let (command, _) = line.trim_start_matches("::").split_once("::").expect("a command ends");
        let properties = command.split_once(' ').map_or("", |(_, properties)| properties);
        assert!(properties.split(',').all(|pair| pair.matches('=').count() >= 1), "{command}");
    }
    assert!(text.lines().all(|line| line.starts_with("::") || line.starts_with("racetrace: ")), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("::error")).count(), 1);
}

#[test]
fn hostile_names_are_no_markup_in_markdown() {
    let (report, sources) = sample("hostile");
    let text = render(Format::Markdown, &report, &sources, &Options::default());
    let outside: String = text.split("\n```").step_by(2).collect();
    for markup in ["<img", "</script", "[a](", "`*"] {
        assert!(!outside.contains(markup), "{markup} in {outside}");
    }
    let rows: Vec<&str> = outside.lines().filter(|line| line.starts_with('|')).collect();
    assert!(rows.iter().all(|row| row.replace("\\|", "").matches('|').count() == 7), "{rows:?}");
}

#[test]
fn hostile_names_cannot_leave_the_pages_data() {
    let (report, sources) = sample("hostile");
    let text = render(Format::Html, &report, &sources, &Options::default());
    assert_eq!(text.matches("<script").count(), 2);
    assert_eq!(text.matches("</script").count(), 2);
    assert!(!text.contains("<img"));
}

#[test]
fn output_does_not_depend_on_the_run() {
    for name in SAMPLES {
        for format in Format::ALL {
            let once = {
                let (report, sources) = sample(name);
                render(format, &report, &sources, &Options::default())
            };
            let again = {
                let (report, sources) = sample(name);
                render(format, &report, &sources, &Options::default())
            };
            assert_eq!(once, again, "{name} {format}");
        }
    }
}
