//! Just enough of the WebDriver protocol (<https://www.w3.org/TR/webdriver2/>) to show a page and ask it questions. Not a test
//! itself.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A browser window of its own, ended with the test.
pub struct Browser {
    driver: Child,
    session: String,
    agent: ureq::Agent,
    folder: tempfile::TempDir,
}

/// Keeps the browser off every network.
const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
];

impl Browser {
    /// `None`, said aloud, where no browser is installed.
    pub fn start() -> Option<Browser> {
        let (Some(driver), Some(chromium)) =
            (program(&["chromedriver"]), program(&["chromium", "chromium-browser", "google-chrome"]))
        else {
            let message = "skipped: chromium and chromedriver are not installed (apt-get install chromium chromium-driver)";
            assert!(std::env::var_os("RACETRACE_NEED_BROWSER").is_none(), "{message}");
            eprintln!("{message}");
            return None;
        };
        let mut driver = Command::new(driver)
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts");
        let port = port(&mut driver);
        let folder = tempfile::tempdir().expect("a directory");
        let profile = format!("--user-data-dir={}", folder.path().join("profile").display());
        let flags: Vec<&str> = FLAGS.iter().copied().chain([profile.as_str(), "--window-size=1200,900"]).collect();
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"binary": chromium, "args": flags},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let agent = ureq::Agent::new_with_defaults();
        let mut browser = Browser { driver, session: format!("http://127.0.0.1:{port}/session"), agent, folder };
        let answer = browser.post("", &wanted);
        let id = answer["sessionId"].as_str().expect("a session").to_owned();
        browser.session = format!("{}/{id}", browser.session);
        Some(browser)
    }

    /// Opens the page from disk, as a user does.
    #[allow(dead_code, reason = "part of the same small client")]
    pub fn show(&mut self, page: &str) {
        let file = self.folder.path().join("report.html");
        std::fs::write(&file, page).expect("written");
        self.open(&format!("file://{}", file.display()));
    }

    pub fn open(&self, address: &str) {
        self.post("/url", &json!({"url": address}));
        // On a busy machine the driver answers before the page is there.
        let scheme = address.split_once("//").map_or(address, |(scheme, _)| scheme);
        let there = format!("return location.protocol === '{scheme}' && document.readyState === 'complete'");
        while self.run(&there) != true {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    pub fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({"script": script, "args": []}))
    }

    /// Asks at every frame until the answer is true; the driver's own time limit ends it.
    pub fn wait_for(&self, condition: &str) {
        let script = format!(
            "const done = arguments[0], holds = () => {{ {condition} }};
             const look = () => holds() ? done(true) : setTimeout(look, 5); look()"
        );
        assert_eq!(self.post("/execute/async", &json!({"script": script, "args": []})), true, "{condition}");
    }

    #[allow(dead_code, reason = "part of the same small client")]
    pub fn type_into(&self, id: &str, text: &str) {
        let found = self.post("/element", &json!({"using": "css selector", "value": format!("#{id}")}));
        let element = found.as_object().and_then(|object| object.values().next()).and_then(Value::as_str).expect("an element");
        self.post(&format!("/element/{element}/value"), &json!({"text": text}));
    }

    /// Keys for whatever has the focus.
    #[allow(dead_code, reason = "part of the same small client")]
    pub fn press(&self, keys: &str) {
        let strokes: Vec<Value> = keys
            .chars()
            .flat_map(|key| [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})])
            .collect();
        self.post("/actions", &json!({"actions": [{"type": "key", "id": "keyboard", "actions": strokes}]}));
    }

    #[allow(dead_code, reason = "part of the same small client")]
    pub fn resize(&self, width: u32, height: u32) {
        // A window cannot be that narrow; what the page is told can.
        let params = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": true});
        self.post("/goog/cdp/execute", &json!({"cmd": "Emulation.setDeviceMetricsOverride", "params": params}));
    }

    #[allow(dead_code, reason = "part of the same small client")]
    pub fn print(&self) {
        let pdf = self.post("/print", &json!({}));
        assert!(pdf.as_str().is_some_and(|pdf| pdf.len() > 1000));
    }

    /// Everything the page has logged, its failures included.
    pub fn console(&self) -> Vec<String> {
        let entries = self.post("/se/log", &json!({"type": "browser"}));
        entries.as_array().expect("a list").iter().map(|entry| entry["message"].to_string()).collect()
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let address = format!("{}{path}", self.session);
        let answer = self.agent.post(&address).config().http_status_as_error(false).build().send_json(body);
        let mut answer = answer.expect("chromedriver answers");
        let status = answer.status();
        let answer: Value = answer.body_mut().read_json().expect("an answer in JSON");
        assert!(status.is_success(), "{path} {body}: {}", answer["value"]["message"]);
        answer["value"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends its browser with the session.
        let _ = self.agent.delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// The port that the driver has chosen: it says so in its first lines.
fn port(driver: &mut Child) -> u16 {
    let out = driver.stdout.take().expect("piped");
    let mut lines = BufReader::new(out).lines();
    let said = lines.find_map(|line| {
        let line = line.expect("text");
        line.contains("started successfully").then(|| line.chars().filter(char::is_ascii_digit).collect::<String>())
    });
    // Whatever it says later must not fill the pipe.
    std::thread::spawn(move || lines.for_each(drop));
    said.expect("chromedriver says where it listens").parse().expect("a port")
}

fn program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut places =
        names.iter().flat_map(|name| std::env::split_paths(&path).map(move |directory| directory.join(name)).collect::<Vec<_>>());
    places.find(|place: &PathBuf| Path::is_file(place))
}
