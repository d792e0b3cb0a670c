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

  function facts(pairs, classes) {
    const terms = make("dl", classes);
    for (const [label, text] of pairs) terms.append(make("dt", "", label), make("dd", "", text));
    return terms;
  }

  // ---- head
  find("tally").textContent = report.tally;
  const about = report.targets.map((text) => ["Watched", text]);
  about.push(["Watched", report.watched]);
  if (report.missed.length === 0) about.push(["Missed", "nothing that is known; code that did not run in this time was not seen"]);
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
    if (finding.timeline.length) body.append(timelineOf(finding));
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
        const marked = line.notes.length > 0 && (index % 2 === 1 || line.pieces.length === 1);
        source.append(marked ? make("mark", "", piece) : piece);
      });
      code.append(make("div", line.window ? "window" : "", make("span", "number", line.number === null ? "…" : String(line.number)), source));
      for (const note of line.notes) {
        code.append(make("div", line.window ? "window" : "", make("span", "number", ""), make("span", "annotation", `↑ ${note}`)));
      }
    }
    part.append(code);
    if (side.first && finding.closing && side.lines.some((line) => line.window)) part.append(make("p", "closing", `Marked: ${finding.closing}`));
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

  function timelineOf(finding) {
    const moments = finding.timeline;
    const lanes = [...new Set(moments.map((moment) => moment.strand))];
    const short = (name) => (name.length > 22 ? `${name.slice(0, 21)}…` : name);
    const left = 16 + 8 * Math.max(...lanes.map((lane) => short(lane).length));
    const step = 56, height = 64, top = 26;
    const x = (index) => left + 28 + index * step;
    const y = (strand) => top + lanes.indexOf(strand) * height + height / 2;
    const width = x(moments.length - 1) + 36, tall = top + lanes.length * height + 4;
    const svg = draw("svg", { width, height: tall, viewBox: `0 0 ${width} ${tall}`, role: "img" });
    svg.append(draw("title", {}, `Timeline of ${lanes.length} strands; the steps are listed below`));
    for (const lane of lanes) {
      svg.append(draw("line", { class: "lane", x1: left, x2: width - 8, y1: y(lane), y2: y(lane) }));
      svg.append(draw("text", { x: 8, y: y(lane) + 4 }, short(lane)));
    }
    spanOf(svg, moments, x, y);
    locksOf(svg, moments, x, y, width - 12);
    svg.append(draw("polyline", { class: "course", points: moments.map((moment, index) => `${x(index)},${y(moment.strand)}`).join(" ") }));
    moments.forEach((moment, index) => {
      const group = draw("g", { class: `step ${moment.part ?? ""}` });
      group.append(draw("title", {}, `${moment.strand}: ${moment.what}`));
      group.append(draw("circle", { cx: x(index), cy: y(moment.strand), r: 10 }));
      group.append(draw("text", { x: x(index), y: y(moment.strand) + 4 }, String(index + 1)));
      svg.append(group);
    });
    const picture = make("div", "timeline", svg);
    picture.tabIndex = 0;
    picture.setAttribute("role", "group");
    picture.setAttribute("aria-label", "timeline");
    const steps = make("ol", "steps");
    for (const moment of moments) {
      const item = make("li", "", make("b", "", moment.strand), ` ${moment.what} `, make("span", "time", `+${duration(moment.after)}`));
      if (moment.part === "conflict") item.classList.add("conflict");
      steps.append(item);
    }
    return make("section", "", make("h3", "", "As it happened"), picture, steps);
  }

  function spanOf(svg, moments, x, y) {
    const inside = moments.map((moment, index) => ({ moment, index })).filter((step) => step.moment.part === "window");
    if (inside.length < 2) return;
    const first = inside[0], last = inside.filter((step) => step.moment.strand === first.moment.strand).pop();
    if (last.index === first.index) return;
    svg.append(draw("rect", { class: "span", x: x(first.index) - 14, width: x(last.index) - x(first.index) + 28, y: y(first.moment.strand) - 17, height: 34, rx: 8 }));
    svg.append(draw("text", { x: x(first.index) - 12, y: y(first.moment.strand) - 21 }, "window"));
  }

  function locksOf(svg, moments, x, y, end) {
    const held = [];
    moments.forEach((moment, index) => {
      const [verb, name] = [moment.what.split(" ", 1)[0], moment.what.slice(moment.what.indexOf(" ") + 1)];
      if (verb === "acquire") held.push({ name, strand: moment.strand, from: index, to: null });
      if (verb === "release") {
        const bar = held.find((bar) => bar.name === name && bar.strand === moment.strand && bar.to === null);
        if (bar) bar.to = index;
      }
    });
    const said = new Set(held.map((bar) => bar.name));
    held.push(...heldAtAccesses(moments).filter((bar) => !said.has(bar.name)));
    for (const bar of held) {
      const wide = bar.wide ? 14 : 0, from = x(bar.from) - wide, to = bar.to === null ? end : x(bar.to) + wide;
      const below = y(bar.strand) + 15;
      svg.append(draw("rect", { class: "held", x: from, width: Math.max(4, to - from), y: below + (bar.wide ? 4 : 0), height: 5, rx: 2 }));
      svg.append(draw("text", { class: "held-name", x: from, y: below + (bar.wide ? 20 : 16) }, bar.name.length > 40 ? `${bar.name.slice(0, 39)}…` : bar.name));
    }
  }

  // Where acquiring was not part of the story: a lock that two accesses of one strand hold from the same taking is held between them.
  function heldAtAccesses(moments) {
    const bars = [];
    moments.forEach((moment, index) => {
      for (const [name, taken] of moment.held) {
        const bar = bars.find((bar) => bar.name === name && bar.taken === taken && bar.strand === moment.strand);
        if (bar) bar.to = index;
        else bars.push({ name, taken, strand: moment.strand, from: index, to: index, wide: true });
      }
    });
    return bars;
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
