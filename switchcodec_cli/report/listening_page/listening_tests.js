"use strict";

const RESULTS_FORMAT = "swc listening test 1";
const REFERENCE = "reference";
const LOW_ANCHOR = "low anchor";
const MID_ANCHOR = "mid anchor";
const SCORE_LIMIT = 90; // of the hidden reference, in the post-screening of BS.1534-3
const SHARE_LIMIT = 0.15;

/** Trials of an ABX test: in each a random item, and X is A or B at random. */
function abxTrials({ items, trials }, random) {
  let order = [];
  return Array.from({ length: trials }, () => {
    if (!order.length) order = shuffled(items, random);
    return { item: order.pop(), x: random() < 0.5 ? "A" : "B" };
  });
}

/** Trials of a preference test: all items in random order, both versions in random order. */
function preferenceTrials({ items, pair }, random) {
  return shuffled(items, random).map((item) => ({ item, order: shuffled(pair, random) }));
}

/** Trials of a MUSHRA test: all items in random order, all stimuli in random order. */
function mushraTrials({ items, versions }, random) {
  const stimuli = [REFERENCE, LOW_ANCHOR, MID_ANCHOR, ...versions];
  return shuffled(items, random).map((item) => ({ item, order: shuffled(stimuli, random), ratings: {} }));
}

function abxSummary({ trials }) {
  const correct = trials.filter((trial) => trial.answer === trial.x).length;
  return { correct, p_value: binomialPValue(correct, trials.length) };
}

function preferenceSummary({ pair, trials }) {
  const [first, second, none] = [...pair, "none"].map((name) => trials.filter((trial) => trial.answer === name).length);
  return { first, second, none, p_value: signTestPValue(first, second) };
}

function mushraSummary({ trials }) {
  const conditions = Object.keys(trials[0].ratings);
  const means = Object.fromEntries(conditions.map((name) => [name, mean(trials.map((trial) => trial.ratings[name]))]));
  return { means, excluded: share(trials, (trial) => trial.ratings[REFERENCE] < SCORE_LIMIT) > SHARE_LIMIT };
}

const TRIALS = { abx: abxTrials, preference: preferenceTrials, mushra: mushraTrials };
const SUMMARIES = { abx: abxSummary, preference: preferenceSummary, mushra: mushraSummary };

/** The results as a table: a line per answer. */
function resultsAsCsv(results) {
  const quote = (value) => `"${String(value).replaceAll('"', '""')}"`;
  const head = ["test", "listener", "seed", "trial", "item", "stimulus", "value"];
  const lines = results.trials.flatMap((trial, number) => {
    const values = trial.ratings ? Object.entries(trial.ratings) : [[trial.x ?? trial.order.join(" | "), trial.answer]];
    return values.map(([stimulus, value]) => [results.test, results.listener, results.seed, number + 1, trial.item, stimulus, value]);
  });
  return [head, ...lines].map((line) => line.map(quote).join(",")).join("\r\n") + "\r\n";
}

function download(name, text, type) {
  const link = element("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** A blind test that is being taken. */
class ListeningTest {
  constructor(report, library, setup, onEnd) {
    const { test, listener, seed, ...rest } = setup;
    Object.assign(this, { report, library, setup, onEnd });
    const { title, swc, weights } = report;
    this.results = { format: RESULTS_FORMAT, test, listener, seed, date: new Date().toISOString(), report: { title, swc, weights }, ...rest };
    delete this.results.items;
    this.results.trials = TRIALS[test](setup, seededRandom(seed));
    this.player = new Player(report.sampleRate);
    this.player.liveContext = library.context;
    this.player.onChange = () => this.showPlayer();
    this.panel = find("#session");
    this.number = -1;
  }

  get trial() {
    return this.results.trials[this.number];
  }

  get test() {
    return this.results.test;
  }

  async begin() {
    document.querySelectorAll("main, body > header").forEach((part) => (part.hidden = true));
    this.panel.hidden = false;
    if (this.test === "mushra") await this.showTraining();
    else await this.next();
  }

  end() {
    this.player.pause();
    document.querySelectorAll("main, body > header").forEach((part) => (part.hidden = false));
    this.panel.hidden = true;
    this.onEnd();
  }

  /** Decode stimuli of an item, by name; anchors are made here. */
  async stimuli(itemName, names) {
    const item = this.report.items.find(({ name }) => name === itemName);
    const original = await this.library.decode(item.original.clip);
    const decoded = new Map([[REFERENCE, original], ["original", original]]);
    for (const name of names) {
      if (name === LOW_ANCHOR) decoded.set(name, await lowPassed(original, 3500));
      else if (name === MID_ANCHOR) decoded.set(name, await lowPassed(original, 7000));
      else if (!decoded.has(name)) decoded.set(name, await this.library.decode(item.versions.find((version) => version.name === name).clip));
    }
    return names.map((name) => decoded.get(name));
  }

  async next() {
    this.number += 1;
    if (!this.trial) return this.finish();
    const show = { abx: () => this.showAbx(), preference: () => this.showPreference(), mushra: () => this.showMushra() };
    return show[this.test]();
  }

  /** Show a page of the test: a title, what to do, buttons to listen to `labels`, and further elements. */
  async showPage(title, text, itemName, names, labels, ...content) {
    this.labels = labels;
    this.player.load(await this.stimuli(itemName, names));
    this.selected = null;
    this.panel.dataset.trial = this.number;
    this.seekBar = element("input", { type: "range", className: "seek", min: 0, max: 1, step: 0.001, value: 0, "aria-label": "Position" });
    this.seekBar.oninput = () => this.player.seek(this.seekBar.value * this.player.duration);
    this.playButton = element("button", { type: "button", onclick: () => this.player.toggle() }, "Play");
    this.panel.replaceChildren(
      element("h2", {}, title), element("p", { className: "note" }, text), this.seekBar,
      element("div", { className: "controls" }, this.playButton,
        element("button", { type: "button", onclick: () => this.end() }, "Cancel the test")),
      ...content);
    this.player.loop = { start: 0, end: this.player.duration };
    this.showPlayer();
    find("button.listen", this.panel)?.focus();
  }

  listenButton(label, index = this.labels.indexOf(label)) {
    return element("button", { type: "button", className: "listen", "aria-pressed": "false", onclick: () => this.listen(index) }, label);
  }

  listen(index) {
    this.selected = index;
    this.player.switchTo(index);
    this.player.play();
  }

  showPlayer() {
    if (!this.playButton) return;
    this.playButton.textContent = this.player.playing ? "Pause" : "Play";
    this.panel.querySelectorAll("button.listen").forEach((button, index) => button.setAttribute("aria-pressed", String(index === this.selected)));
    const follow = () => {
      this.seekBar.value = this.player.position / this.player.duration;
      if (this.player.playing) requestAnimationFrame(follow);
    };
    follow();
  }

  answerButton(text, answer) {
    return element("button", { type: "button", className: "primary answer", "data-answer": answer, onclick: () => {
      this.trial.answer = answer;
      this.next();
    } }, text);
  }

  get progress() {
    return `${this.number + 1} of ${this.results.trials.length}`;
  }

  async showAbx() {
    const { item, x } = this.trial;
    const [a, b] = this.results.pair;
    this.labels = ["A", "B", "X"];
    await this.showPage(`ABX, trial ${this.progress}`, "Which one is X? Keys: A, B and X listen, Space pauses.", item,
      [a, b, x === "A" ? a : b], this.labels,
      element("div", { className: "choices" }, ...this.labels.map((label) => this.listenButton(label))),
      element("div", { className: "choices" }, this.answerButton("X is A", "A"), this.answerButton("X is B", "B")));
  }

  async showPreference() {
    const { item, order } = this.trial;
    this.labels = ["A", "B", "Original"];
    await this.showPage(`Preference, item ${this.progress}`, "Which is better? Keys: A, B and O listen, Space pauses.", item,
      [...order, "original"], this.labels,
      element("div", { className: "choices" }, ...this.labels.map((label) => this.listenButton(label))),
      element("div", { className: "choices" }, this.answerButton("A is better", order[0]), this.answerButton("B is better", order[1]),
        this.answerButton("No preference", "none")));
  }

  async showTraining() {
    const { item, order } = this.results.trials[0];
    this.labels = order;
    await this.showPage("MUSHRA, training",
      "Hear the whole range of qualities before rating. The names are shown here only. 100 means no difference from the reference.",
      item, order, order,
      element("div", { className: "choices" }, ...order.map((label) => this.listenButton(label))),
      element("button", { type: "button", className: "primary", id: "begin-rating", onclick: () => this.next() }, "Begin rating"));
  }

  async showMushra() {
    const { item, order, ratings } = this.trial;
    this.labels = ["Reference", ...order.map((_, index) => String(index + 1))];
    const next = element("button", { type: "button", className: "primary", id: "next-trial", disabled: true, onclick: () => this.next() }, "Next");
    const rated = new Set();
    const slider = (name, index) => {
      const value = element("output", {}, "–");
      const input = element("input", { type: "range", min: 0, max: 100, step: 1, value: 50, "aria-label": `Score of ${index + 1}`, "data-stimulus": index + 1 });
      input.oninput = () => {
        ratings[name] = Number(input.value);
        value.textContent = input.value;
        rated.add(name);
        next.disabled = rated.size < order.length;
      };
      return element("div", { className: "stimulus" }, this.listenButton(String(index + 1)), input, value);
    };
    await this.showPage(`MUSHRA, item ${this.progress}`,
      "Rate each against the reference. At least one of them is the reference and should get 100. Keys: 0 the reference, 1–9 the others, Space pauses.",
      item, [REFERENCE, ...order], this.labels,
      element("div", { className: "choices" }, this.listenButton("Reference")),
      element("div", { className: "scale", "aria-hidden": "true" }, ...["Bad", "Poor", "Fair", "Good", "Excellent"].map((word) => element("span", {}, word))),
      ...order.map(slider), next);
  }

  handleKey(key) {
    const digit = /^[0-9]$/.test(key) && this.test === "mushra" && this.trial ? Number(key) : -1;
    const index = digit >= 0 ? digit : this.labels?.findIndex((label) => label[0].toLowerCase() === key.toLowerCase());
    if (key === " ") this.player.toggle();
    else if (index >= 0 && index < this.player.buffers.length) this.listen(index);
    else return false;
    return true;
  }

  finish() {
    this.player.pause();
    this.labels = [];
    this.results.summary = SUMMARIES[this.test](this.results);
    const name = `${this.test}-${this.results.listener.replace(/[^\w-]+/g, "_")}`;
    this.panel.dataset.trial = "end";
    this.panel.replaceChildren(
      element("h2", {}, "Result"),
      element("p", { id: "test-result" }, this.summaryText()),
      element("p", { className: "note" }, "swc listen-results combines the JSON files of several listeners."),
      element("div", { className: "choices" },
        element("button", { type: "button", className: "primary", id: "download-json",
          onclick: () => download(`${name}.json`, JSON.stringify(this.results, null, 1), "application/json") }, "Download JSON"),
        element("button", { type: "button", id: "download-csv", onclick: () => download(`${name}.csv`, resultsAsCsv(this.results), "text/csv") }, "Download CSV"),
        element("button", { type: "button", id: "close-test", onclick: () => this.end() }, "Close")));
  }

  summaryText() {
    const { summary, trials, pair } = this.results;
    if (this.test === "abx") return `${summary.correct} of ${trials.length} correct, ${formatPValue(summary.p_value)} (one-sided exact binomial test).`;
    if (this.test === "preference") {
      return `${pair[0]}: ${summary.first}, ${pair[1]}: ${summary.second}, no preference: ${summary.none}; ${formatPValue(summary.p_value)} (two-sided exact sign test).`;
    }
    const means = Object.entries(summary.means).sort((a, b) => b[1] - a[1]).map(([name, value]) => `${name}: ${value.toFixed(0)}`);
    const note = summary.excluded ? " By the post-screening of BS.1534-3 this listener would be excluded." : "";
    return `Means: ${means.join(", ")}.${note}`;
  }
}

/** The form that sets a test up. */
class TestForm {
  constructor(report, onStart) {
    Object.assign(this, { report, onStart });
    this.form = find("#test-form");
    const names = [...new Set(report.items.flatMap((item) => item.versions.map((version) => version.name)))];
    find("#first-version").append(...["original", ...names].map((name) => new Option(name)));
    find("#second-version").append(...["original", ...names].map((name) => new Option(name)));
    find("#second-version").selectedIndex = 1;
    find("#mushra-versions").append(...names.slice(0, 9).map((name) => this.box("version", name)));
    find("#test-items").append(...report.items.map((item) => this.box("item", item.name)));
    this.form.onchange = () => this.showFields();
    this.form.onsubmit = (event) => {
      event.preventDefault();
      this.start();
    };
    this.showFields();
  }

  box(name, value) {
    return element("label", {}, element("input", { type: "checkbox", name, value, checked: true }), ` ${value}`);
  }

  get test() {
    return find("[name=test]:checked").value;
  }

  checked(name) {
    return [...this.form.querySelectorAll(`[name=${name}]:checked`)].map((box) => box.value);
  }

  showFields() {
    for (const part of this.form.querySelectorAll("[data-tests]")) part.hidden = !part.dataset.tests.includes(this.test);
  }

  start() {
    const seed = find("#seed").value === "" ? crypto.getRandomValues(new Uint32Array(1))[0] : Number(find("#seed").value);
    const common = { test: this.test, listener: find("#listener").value.trim(), seed, items: this.checked("item") };
    const pair = [find("#first-version").value, find("#second-version").value];
    const setups = {
      abx: { ...common, pair, trials: Number(find("#trials").value) },
      preference: { ...common, pair },
      mushra: { ...common, versions: this.checked("version") },
    };
    const setup = setups[this.test];
    const error = this.problemOf(setup);
    find("#form-error").textContent = error ?? "";
    if (!error) this.onStart(setup);
  }

  problemOf({ test, items, pair, versions, listener }) {
    if (!listener) return "Name the listener.";
    if (!items.length) return "Choose at least one item.";
    if (test !== "mushra" && pair[0] === pair[1]) return "A and B must differ.";
    if (test === "mushra" && !versions.length) return "Choose at least one version.";
    const wanted = test === "mushra" ? versions : pair;
    const lacking = this.report.items.find((item) => items.includes(item.name) &&
      !wanted.every((name) => name === "original" || item.versions.some((version) => version.name === name)));
    return lacking ? `${lacking.name} has not all of these versions.` : null;
  }
}
