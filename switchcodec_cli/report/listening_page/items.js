"use strict";

/** The value of a query that must have one. */
function find(selector, parent = document) {
  return parent.querySelector(selector);
}

/** Make an element with properties, attributes (`aria-*`, `data-*`, `style`) and children. */
function element(name, properties = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in node && key !== "style") node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

function formatScore(value, metric) {
  return value === null || value === undefined ? "–" : value.toFixed(metric.decimals);
}

/** How bad a score is: greater is worse. */
function badness(score, metric) {
  if (metric.zeroIsBest) return Math.abs(score);
  return metric.lowerIsBetter ? score : -score;
}

/** The rate of an encoded file, which its version is not named after; nothing for what was not encoded here. */
function formatRate({ size, kbps }) {
  return size ? ` real ${kbps.toFixed(2)}` : "";
}

/** The original and the versions of an item, in the order of their keys. */
function versionsOf(item) {
  return [{ ...item.original, name: "original" }, ...item.versions];
}

/** Gain in dB that gives a version the loudness of the original. */
function matchingGain(item, version) {
  if (item.original.loudness === null || version.loudness === null) return 0;
  return item.original.loudness - version.loudness;
}

/** The table of all items, sorted by a measure of one version. */
class ItemTable {
  constructor(report, onChoose) {
    Object.assign(this, { report, onChoose });
    const names = new Set(report.items.flatMap((item) => item.versions.map((version) => version.name)));
    this.metric = find("#sort-metric");
    this.version = find("#sort-version");
    this.metric.append(...report.metrics.map(({ name, title }) => new Option(title, name)));
    this.version.append(...[...names].map((name) => new Option(name)));
    for (const control of [this.metric, this.version, find("#sort-best")]) control.onchange = () => this.draw();
  }

  scoresOf(item) {
    return item.versions.find((version) => version.name === this.version.value)?.scores ?? {};
  }

  /** Indices of the items in the order of the table; those without a score come last. */
  get order() {
    const metric = this.report.metrics.find(({ name }) => name === this.metric.value);
    const sign = find("#sort-best").checked ? 1 : -1;
    const rank = (index) => {
      const score = this.scoresOf(this.report.items[index])[metric?.name];
      return score === null || score === undefined ? Infinity : sign * badness(score, metric);
    };
    return this.report.items.map((_, index) => index).sort((a, b) => rank(a) - rank(b) || a - b);
  }

  draw(current = this.current) {
    this.current = current;
    const { metrics, items } = this.report;
    const heads = ["item", "kind", "seconds", ...metrics.map(({ title, arrow }) => `${title} ${arrow}`)];
    find("#items thead").replaceChildren(
      element("tr", {}, ...heads.map((text, column) => element("th", { className: column > 1 ? "value" : "" }, text))));
    find("#items tbody").replaceChildren(...this.order.map((index) => this.line(items[index], index)));
  }

  line(item, index) {
    const scores = this.scoresOf(item);
    const cells = [item.seconds.toFixed(1), ...this.report.metrics.map((metric) => formatScore(scores[metric.name], metric))];
    return element("tr", { onclick: () => this.onChoose(index), "aria-current": String(index === this.current) },
      element("td", {}, element("button", { type: "button" }, item.name)),
      element("td", {}, item.kind),
      ...cells.map((text) => element("td", { className: "value" }, text)));
  }

  /** The item before or after the current one. */
  neighbour(step) {
    const { order } = this;
    return order[(order.indexOf(this.current) + step + order.length) % order.length];
  }
}

/** One item: player, pictures, measures and routing. */
class ItemView {
  constructor(report, player, library) {
    Object.assign(this, { report, player, library });
    this.view = find("#item");
    this.waveform = find("#waveform");
    this.matchLoudness = find("#match-loudness");
    this.loopBox = find("#loop");
    find("#play").onclick = () => player.toggle();
    this.matchLoudness.onchange = () => this.applyLevels();
    this.loopBox.onchange = () => this.setLoop(this.loopBox.checked ? this.region ?? this.whole : null);
    for (const radio of document.querySelectorAll("[name=picture]")) radio.onchange = () => this.drawPictures();
    this.listenToDragging();
  }

  get whole() {
    return { start: 0, end: this.player.duration };
  }

  get showsDifference() {
    return find("[name=picture]:checked").value === "difference";
  }

  async open(item, version = 0) {
    this.item = item;
    this.versions = versionsOf(item);
    this.region = null;
    delete this.view.dataset.complete;
    this.player.pause();
    find("#item-title").textContent = `${item.name} (${item.kind}, ${item.seconds.toFixed(1)} s)`;
    this.showButtons();
    this.showMeasures();
    this.showRouting();
    const buffers = await Promise.all(this.versions.map(({ clip }) => this.library.decode(clip)));
    if (this.item !== item) return; // another one was chosen meanwhile
    this.player.load(buffers, Math.min(version, buffers.length - 1));
    this.applyLevels();
    this.showPosition();
    await this.showPictures(buffers);
  }

  showButtons() {
    find("#versions").replaceChildren(...this.versions.map((version, index) =>
      element("button", { type: "button", className: "version", "aria-pressed": "false", onclick: () => this.player.switchTo(index) },
        element("span", { className: "digit" }, index < 10 ? String(index) : ""), version.name,
        element("span", { className: "rate" }, formatRate(version)))));
  }

  showMeasures() {
    const { metrics } = this.report;
    const heads = ["version", "real kbps", "bytes", ...metrics.map(({ title, arrow }) => `${title} ${arrow}`), "loudness", "clipped"];
    const lines = this.versions.map((version) => [
      version.name,
      version.kbps?.toFixed(2) ?? "–",
      version.size ?? "–",
      ...metrics.map((metric) => formatScore(version.scores?.[metric.name], metric)),
      version.loudness === null ? "–" : `${version.loudness.toFixed(1)} LUFS`,
      version.clipped,
    ]);
    find("#measures").replaceChildren(element("table", {},
      element("thead", {}, element("tr", {}, ...heads.map((text, column) => element("th", { className: column ? "value" : "" }, text)))),
      element("tbody", {}, ...lines.map((cells) =>
        element("tr", {}, ...cells.map((text, column) => element("td", { className: column ? "value" : "" }, String(text))))))));
  }

  async showPictures(buffers) {
    const { item } = this;
    drawWaveform(find("canvas", this.waveform), buffers[0], item.seconds, getComputedStyle(document.body).getPropertyValue("--faint"));
    this.levels = [];
    this.figures = this.versions.map((version) => this.pictureOf(version));
    find("#pictures").replaceChildren(...this.figures);
    this.showCurrent();
    for (const buffer of buffers) {
      await new Promise((resolve) => setTimeout(resolve)); // let the page react in between
      if (this.item !== item) return;
      this.levels.push(spectrogram(buffer, item.seconds));
      this.drawPictures(this.levels.length - 1);
    }
    this.view.dataset.complete = item.name;
  }

  pictureOf(version) {
    const labels = FREQUENCY_LABELS.filter((frequency) => frequency < this.player.sampleRate / 2.2).map((frequency) =>
      element("span", { style: `bottom: ${(100 * mel(frequency)) / mel(this.player.sampleRate / 2)}%` },
        frequency < 1000 ? `${frequency} Hz` : `${frequency / 1000} kHz`));
    const canvas = element("canvas", { role: "img", "aria-label": `Spectrogram of ${version.name}` });
    return element("figure", {}, element("figcaption", {}, `${version.name} `),
      element("div", { className: "timeline" }, canvas, element("div", { className: "frequencies", "aria-hidden": "true" }, ...labels)));
  }

  /** Draw the pictures from the given one on. */
  drawPictures(first = 0) {
    const top = this.levels[0].reduce((highest, level) => Math.max(highest, level), -200);
    const colours = this.showsDifference ? DIFFERENCE_COLOURS : LEVEL_COLOURS;
    find("#picture-legend").replaceChildren(
      this.showsDifference ? `−${DIFFERENCE_RANGE} dB` : `−${DYNAMIC_RANGE} dB`,
      element("i", { style: `background: ${gradient(colours)}` }),
      this.showsDifference ? `+${DIFFERENCE_RANGE} dB` : "highest level of the original");
    for (let index = first; index < this.levels.length; index++) {
      const canvas = find("canvas", this.figures[index]);
      if (this.showsDifference && index) drawDifference(canvas, this.levels[index], this.levels[0], top);
      else drawLevels(canvas, this.levels[index], top);
    }
  }

  showRouting() {
    const routed = this.item.versions.filter(({ routing }) => routing?.masks.flat().some((mask) => mask > 0));
    find("#routing").replaceChildren(...(routed.length ? [element("h3", {}, "Routing: which experts, when")] : []),
      ...routed.map((version) => this.routingFigure(version)));
  }

  routingFigure({ name, routing }) {
    const rows = routing.masks.length * routing.experts;
    const canvas = element("canvas", { width: PICTURE_COLUMNS, height: 8 * rows, role: "img", style: `height: ${Math.max(8 * rows, 32)}px`,
      "aria-label": `Experts of ${name} over time, one line for each` });
    const drawing = canvas.getContext("2d");
    drawing.fillStyle = getComputedStyle(document.body).getPropertyValue("--accent");
    routing.masks.forEach((masks, signal) => masks.forEach((mask, window) => {
      const left = (window * routing.windowSeconds * PICTURE_COLUMNS) / this.item.seconds;
      const width = (routing.windowSeconds * PICTURE_COLUMNS) / this.item.seconds;
      for (let expert = 0; expert < routing.experts; expert++) {
        if (mask >= 0 && (mask >> expert) & 1) drawing.fillRect(left, 8 * (signal * routing.experts + expert) + 1, width - 1, 6);
      }
    }));
    const signals = routing.signals.filter(Boolean).join(", ");
    return element("figure", {}, element("figcaption", {}, `${name}: experts 0 to ${routing.experts - 1}${signals && ` of ${signals}`}`),
      element("div", { className: "timeline" }, canvas));
  }

  applyLevels() {
    const gains = this.versions.map((version) => (this.matchLoudness.checked ? matchingGain(this.item, version) : 0));
    this.player.setLevels(gains.map((gain) => 10 ** (gain / 20)));
    this.gains = gains;
    this.showCurrent();
  }

  showCurrent() {
    const { current, playing } = this.player;
    find("#play").textContent = playing ? "Pause" : "Play";
    find("#play").setAttribute("aria-pressed", String(playing));
    document.querySelectorAll("#versions button").forEach((button, index) => button.setAttribute("aria-pressed", String(index === current)));
    this.figures?.forEach((figure, index) => figure.classList.toggle("current", index === current));
    const gain = this.gains?.[current] ?? 0;
    find("#gain").textContent = this.matchLoudness.checked ? `${gain < 0 ? "−" : "+"}${Math.abs(gain).toFixed(1)} dB` : "";
    this.loopBox.checked = this.player.loop !== null;
    this.showPosition();
    if (playing) requestAnimationFrame(() => this.follow());
  }

  follow() {
    this.showPosition();
    if (this.player.playing) requestAnimationFrame(() => this.follow());
  }

  showPosition() {
    const { position, duration } = this.player;
    if (!Number.isFinite(duration)) return;
    find("#time").textContent = `${position.toFixed(2)} / ${duration.toFixed(2)} s`;
    this.waveform.setAttribute("aria-valuenow", position.toFixed(2));
    this.waveform.setAttribute("aria-valuemax", duration.toFixed(2));
    this.waveform.setAttribute("aria-valuetext", `${position.toFixed(2)} seconds`);
    this.view.style.setProperty("--position", position / this.item.seconds);
    this.view.style.setProperty("--loop-start", (this.region?.start ?? 0) / this.item.seconds);
    this.view.style.setProperty("--loop-end", (this.region?.end ?? 0) / this.item.seconds);
  }

  /** Loop a region, or none; a region that is switched off stays marked. */
  setLoop(loop) {
    this.region = loop ?? this.region;
    this.player.setLoop(loop);
  }

  /** Move one end of the region to the present position. */
  setRegionEnd(side) {
    const region = { ...(this.region ?? this.whole), [side]: this.player.position };
    if (region.end - region.start > 2 * FADE_SECONDS) this.setLoop(region);
  }

  timeAt(event) {
    const box = this.waveform.getBoundingClientRect();
    return Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1) * this.item.seconds;
  }

  /** Dragging selects a region to loop, a click seeks. */
  listenToDragging() {
    let begin = null;
    this.waveform.onpointerdown = (event) => {
      begin = this.timeAt(event);
      this.waveform.setPointerCapture(event.pointerId);
    };
    const regionTo = (event) => {
      const [start, end] = [begin, this.timeAt(event)].sort((a, b) => a - b);
      return end - start > 0.05 ? { start, end: Math.min(end, this.player.duration) } : null;
    };
    this.waveform.onpointermove = (event) => {
      if (begin === null || !regionTo(event)) return;
      this.region = regionTo(event);
      this.showPosition();
    };
    this.waveform.onpointerup = (event) => {
      const region = begin === null ? null : regionTo(event);
      if (region) this.setLoop(region);
      else this.player.seek(this.timeAt(event));
      begin = null;
    };
    this.waveform.onpointercancel = () => (begin = null);
  }
}
