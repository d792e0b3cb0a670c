"use strict";
// Builds the page from the data. Everything from the watched program enters as text, never as markup.
(() => {
  const report = JSON.parse(document.getElementById("data").textContent);
  const find = (id) => document.getElementById(id);
  const list = find("findings");
  const fields = { text: find("text"), severity: find("severity"), kind: find("kind"), file: find("file") };

  function make(name, classes, ...content) {
    const element = document.createElement(name);
    if (classes) element.className = classes;
    element.append(...content.filter((part) => part !== null && part !== undefined));
    return element;
  }

  // Source in a sentence stands between backticks.
  function rich(text) {
    const parts = text.split("`");
    return parts.length % 2 === 0 ? [text] : parts.map((part, index) => (index % 2 === 1 ? make("code", "", part) : part));
  }

  function facts(pairs, classes) {
    const terms = make("dl", classes);
    for (const [label, text] of pairs) terms.append(make("dt", "", label), make("dd", "", ...rich(text)));
    return terms;
  }

  // ---- head
  find("tally").textContent = report.tally;
  const about = report.targets.map((text) => ["Watched", text]);
  about.push(["Watched", report.watched]);
  if (report.missed.length === 0) about.push(["Missed", "nothing that is known; code that did not run was not seen, nor the inside of installed packages (--watch PACKAGE)"]);
  for (const text of report.missed) about.push(["Missed", text]);
  if (report.hidden) about.push(["Hidden", report.hidden]);
  for (const text of report.notices) about.push(["Notice", text]);
  find("about").append(facts(about, ""));

  // ---- findings: heads at once, bodies when opened
  const entries = report.findings.map((finding) => {
    const head = make("summary", "",
      make("span", "tag", `${finding.severity}[${finding.kind}]`),
      make("span", "message", finding.message),
      make("span", "where", `${finding.place} · ${finding.evidence} · seen ${finding.count}×`));
    const element = make("details", `finding ${finding.severity}`, head);
    element.id = finding.id;
    const words = [finding.id, finding.kind, finding.message, finding.subject, ...finding.files, ...finding.facts.map((fact) => fact[1])];
    for (const side of finding.sides) words.push(side.strand, side.place, side.locks, ...side.callers);
    const entry = { finding, element, built: false, words: words.join("\n").toLowerCase() };
    element.addEventListener("toggle", () => { if (element.open) build(entry); });
    return entry;
  });
  list.append(...entries.map((entry) => entry.element));
  const none = make("p", "", report.findings.length ? "No finding passes the filters." : "No races found in what was watched.");
  none.id = "none";
  list.append(none);

  function build(entry) {
    if (entry.built) return;
    entry.built = true;
    const finding = entry.finding;
    const body = make("div", "body");
    for (const side of finding.sides) body.append(sideOf(side, finding));
    if (finding.timeline) body.append(timelineOf(finding.timeline));
    if (finding.turns.length) {
      const turns = make("ol", "steps", ...finding.turns.map((turn) => make("li", "", turn)));
      body.append(make("section", "", make("h3", "", "How it can go"), turns));
    }
    body.append(facts(finding.facts, "facts"));
    const kind = report.kinds[finding.kind];
    body.append(make("details", "more", make("summary", "", `About ${finding.kind}: ${kind.title}`),
      make("p", "", kind.what), make("p", "", kind.why), make("p", "", kind.fix)));
    const link = make("a", "permalink", "Link to this finding");
    link.href = `#${encodeURIComponent(finding.id)}`;
    body.append(make("p", "", link));
    entry.element.append(body);
  }

  function sideOf(side, finding) {
    const part = make("section", side.first ? "first" : "other",
      make("h3", "", side.place),
      make("p", "who", `${side.strand}; ${side.locks}`),
      side.callers.length ? make("p", "who", `called from ${side.callers.join(", from ")}`) : null);
    const code = make("div", "code");
    code.tabIndex = 0;
    code.setAttribute("role", "group");
    code.setAttribute("aria-label", `source of ${side.place}`);
    for (const line of side.lines) {
      const source = make("span", "source");
      line.pieces.forEach((piece, index) => {
        const marked = index % 2 === 1;
        source.append(marked ? make("mark", "", piece) : piece);
      });
      code.append(make("div", line.window ? "window" : "", make("span", "number", line.number === null ? "…" : String(line.number)), source));
      for (const [column, note] of line.notes) {
        const lead = " ".repeat(Math.min(column, 60));
        code.append(make("div", line.window ? "window" : "", make("span", "number", ""), make("span", "annotation", `${lead}↑ ${note}`)));
      }
    }
    part.append(code);
    if (side.first && finding.closing && side.lines.some((line) => line.window)) part.append(make("p", "closing", finding.closing));
    return part;
  }

  // ---- timeline: lanes for strands, steps in order (not to scale), the window and held locks as bars
  const SVG = "http://www.w3.org/2000/svg";
  function draw(name, attributes, text) {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    return element;
  }

  const short = (name, most) => (name.length > most ? `${name.slice(0, most - 1)}…` : name);
  const STEP = 60, HEAD = 44, ROW = 24;

  // Where everything goes: each lane is as high as the bars below it need.
  function layout(timeline) {
    const left = 20 + 8 * Math.max(...timeline.lanes.map((lane) => short(lane, 24).length));
    const x = (index) => left + 30 + index * STEP;
    const end = x(timeline.steps.length - 1) + 40;
    const width = Math.max(end, ...timeline.bars.map((bar) => x(bar.from) + 7 * short(barName(bar), 40).length));
    const rows = timeline.lanes.map(() => []);
    const placed = timeline.bars.map((bar) => {
      const from = x(bar.from) - (bar.exact ? 0 : 16);
      const to = bar.to === null ? end : x(bar.to) + (bar.exact && bar.to > bar.from ? 0 : 16);
      const needs = Math.max(to, from + 7 * short(barName(bar), 40).length) + 8;
      const lane = rows[bar.lane];
      let row = lane.findIndex((taken) => taken <= from);
      if (row < 0) row = lane.push(0) - 1;
      lane[row] = needs;
      return { bar, from, to, row };
    });
    const tops = [];
    let top = 8;
    for (const lane of rows) {
      tops.push(top);
      top += HEAD + 20 + lane.length * ROW;
    }
    return { left, x, end, width: width + 8, y: (lane) => tops[lane] + HEAD - 8, bottom: top, placed };
  }

  function barName(bar) {
    return bar.waits ? `waits for ${bar.name}` : bar.name;
  }

  function timelineOf(timeline) {
    const at = layout(timeline), { steps, lanes } = timeline, tall = at.bottom + 22;
    const svg = draw("svg", { width: at.width, height: tall, viewBox: `0 0 ${at.width} ${tall}`, role: "img" });
    svg.append(draw("title", {}, `Timeline of ${lanes.length} strands; the steps are listed below`));
    lanes.forEach((lane, index) => {
      svg.append(draw("line", { class: "lane", x1: at.left, x2: at.end, y1: at.y(index), y2: at.y(index) }));
      const name = draw("text", { class: "name", x: 8, y: at.y(index) + 4 }, short(lane, 24));
      name.append(draw("title", {}, lane));
      svg.append(name);
    });
    windowOf(svg, timeline, at);
    barsOf(svg, at);
    courseOf(svg, steps, at);
    steps.forEach((step, index) => {
      const group = draw("g", { class: `step ${step.part}` });
      group.append(draw("title", {}, `${lanes[step.lane]}: ${step.what}`));
      group.append(draw("circle", { cx: at.x(index), cy: at.y(step.lane), r: 11 }));
      group.append(draw("text", { x: at.x(index), y: at.y(step.lane) + 4 }, String(index + 1)));
      svg.append(group);
      if (timeline.timed) {
        svg.append(draw("text", { class: "after", x: at.x(index), y: tall - 6 }, index === 0 ? "0" : `+${duration(step.after)}`));
      }
    });
    const picture = make("div", "timeline", svg);
    picture.tabIndex = 0;
    picture.setAttribute("role", "group");
    picture.setAttribute("aria-label", "timeline");
    const list = make("ol", "steps");
    for (const step of steps) {
      const time = timeline.timed ? make("span", "time", `+${duration(step.after)}`) : null;
      list.append(make("li", step.part, make("b", "", lanes[step.lane]), ` ${step.what} `, time));
    }
    const more = timeline.left_out > 0 ? make("p", "who", `and ${timeline.left_out} more steps`) : null;
    return make("section", "", make("h3", "", timeline.timed ? "As it happened" : "As it was seen in one look"), legendOf(timeline), picture, list, more);
  }

  function legendOf(timeline) {
    const legend = make("p", "legend");
    const entry = (name, text) => legend.append(make("span", "", make("span", `key ${name}`), text));
    if (timeline.window) entry("span", `the ${timeline.window[3]}`);
    if (timeline.steps.some((step) => step.part === "conflict")) entry("conflict", timeline.window ? "lands inside" : "conflicts");
    if (timeline.bars.some((bar) => !bar.waits)) entry("held", "lock held");
    if (timeline.bars.some((bar) => bar.waits)) entry("waits", "waits for a lock");
    legend.append(make("span", "", "steps in order, not to scale"));
    return legend;
  }

  function windowOf(svg, timeline, at) {
    if (!timeline.window) return;
    const [lane, first, last, name] = timeline.window, x = at.x(first) - 17;
    svg.append(draw("rect", { class: "span", x, width: at.x(last) - at.x(first) + 34, y: at.y(lane) - 18, height: 36, rx: 8 }));
    svg.append(draw("text", { class: "span-name", x: x + 2, y: at.y(lane) - 22 }, name));
  }

  function barsOf(svg, at) {
    for (const { bar, from, to, row } of at.placed) {
      const y = at.y(bar.lane) + 22 + row * ROW;
      const end = bar.to === null ? " open" : "";
      svg.append(draw("rect", { class: `${bar.waits ? "waits" : "held"}${end}`, x: from, width: Math.max(4, to - from), y, height: 6, rx: 2 }));
      if (bar.exact) svg.append(draw("line", { class: "moment", x1: from, x2: from, y1: at.y(bar.lane), y2: y + 6 }));
      if (bar.to !== null && bar.exact) svg.append(draw("line", { class: "moment", x1: to, x2: to, y1: at.y(bar.lane), y2: y + 6 }));
      const name = draw("text", { class: "bar-name", x: from + 2, y: y + 17 }, short(barName(bar), 40));
      name.append(draw("title", {}, barName(bar)));
      svg.append(name);
    }
  }

  // The way from step to step; where it changes lanes, what handed over: written above the lower lane, where no bars are.
  function courseOf(svg, steps, at) {
    svg.append(draw("polyline", { class: "course", points: steps.map((step, index) => `${at.x(index)},${at.y(step.lane)}`).join(" ") }));
    steps.forEach((step, index) => {
      if (!step.via) return;
      const [lower, upper] = [index, index - 1].sort((a, b) => steps[b].lane - steps[a].lane);
      const share = 26 / (at.y(steps[lower].lane) - at.y(steps[upper].lane));
      const x = at.x(lower) + (at.x(upper) - at.x(lower)) * share;
      svg.append(draw("text", { class: "via", x, y: at.y(steps[lower].lane) - 22 }, step.via));
    });
  }

  function duration(nanoseconds) {
    for (const [unit, size] of [["s", 1e9], ["ms", 1e6], ["µs", 1e3]]) {
      if (nanoseconds >= size) return `${Number((nanoseconds / size).toPrecision(3))} ${unit}`;
    }
    return `${nanoseconds} ns`;
  }

  // ---- filters
  function choices(select, all, values) {
    const counts = new Map();
    for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
    select.append(new Option(all, ""));
    for (const value of [...counts.keys()].sort()) {
      const label = value.length > 60 ? `…${value.slice(-59)}` : value;
      select.append(new Option(`${label} (${counts.get(value)})`, value));
    }
  }
  choices(fields.severity, "all", report.findings.map((finding) => finding.severity));
  choices(fields.kind, "all", report.findings.map((finding) => finding.kind));
  choices(fields.file, "all", report.findings.flatMap((finding) => finding.files));

  function passes({ finding, words }, terms) {
    return (!fields.severity.value || finding.severity === fields.severity.value)
      && (!fields.kind.value || finding.kind === fields.kind.value)
      && (!fields.file.value || finding.files.includes(fields.file.value))
      && terms.every((term) => words.includes(term));
  }

  function filter() {
    const terms = fields.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const entry of entries) {
      const pass = passes(entry, terms);
      entry.element.hidden = !pass;
      if (pass) shown += 1;
    }
    none.hidden = shown > 0;
    find("shown").textContent = `${shown} of ${entries.length}`;
  }

  function clear() {
    for (const field of Object.values(fields)) field.value = "";
    filter();
  }
  let waiting = false;
  fields.text.addEventListener("input", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; filter(); });
  });
  for (const name of ["severity", "kind", "file"]) fields[name].addEventListener("change", filter);
  find("filters").addEventListener("submit", (event) => event.preventDefault());
  find("clear").addEventListener("click", clear);
  filter();

  // ---- link to a finding
  function follow() {
    let id = "";
    try { id = decodeURIComponent(location.hash.slice(1)); } catch { return; }
    const entry = entries.find((one) => one.finding.id === id);
    if (!entry) return;
    if (entry.element.hidden) clear();
    entry.element.open = true;
    build(entry);
    entry.element.scrollIntoView();
    entry.element.querySelector("summary").focus({ preventScroll: true });
  }
  addEventListener("hashchange", follow);
  follow();

  // ---- keyboard
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") { clear(); document.activeElement?.blur(); return; }
    if (event.target.matches?.("input, select, textarea")) return;
    if (event.key === "/") { event.preventDefault(); fields.text.focus(); return; }
    const step = { j: 1, k: -1 }[event.key];
    if (!step) return;
    const shown = entries.filter((entry) => !entry.element.hidden);
    const here = shown.findIndex((entry) => entry.element.contains(document.activeElement));
    const next = shown[here < 0 ? (step > 0 ? 0 : shown.length - 1) : Math.min(shown.length - 1, Math.max(0, here + step))];
    next?.element.querySelector("summary").focus();
  });

  // ---- light and dark; print
  find("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = entries.filter((entry) => !entry.element.hidden && !entry.element.open);
    for (const entry of opened) { build(entry); entry.element.open = true; }
  });
  addEventListener("afterprint", () => { for (const entry of opened) entry.element.open = false; });
})();
