"use strict";
const results = JSON.parse(document.getElementById("results").textContent);
const metrics = results.metrics.filter((metric) => !metric.unavailable);
const metricNamed = Object.fromEntries(metrics.map((metric) => [metric.name, metric]));
const SVG = "http://www.w3.org/2000/svg";
const COLOURS = ["#2f6fde", "#d9730d", "#2b9348", "#b5179e", "#0e9aa7", "#7a4fd0", "#8a6d1d", "#d62839", "#4a5568"];
const SHAPES = ["circle", "square", "triangle", "diamond"];
const MOST_VIDEOS = 60; // browsers refuse to play many more at once

const byId = (id) => document.getElementById(id);
const digits = (value, count) => (value === null || value === undefined ? "–" : value.toFixed(count));
const metricDigits = (metric) => (metric.unit ? 2 : 4);
const names = (key) => [...new Set(results.rows.map(key))].filter((name) => name !== null);
const groupOf = (row) => (row.strategy === "none" && row.kind !== "uncached" ? `uncached, ${row.kind}` : row.strategy);
const groups = names((row) => (row.kind === "uncached" ? null : groupOf(row)));
const predictors = names((row) => row.predictor);
const colourOf = (row) => (row.kind === "uncached" ? "#1c2330" : COLOURS[groups.indexOf(groupOf(row)) % COLOURS.length]);
const shapeOf = (predictor) => (predictor === null ? "diamond" : SHAPES[predictors.indexOf(predictor) % 3]);

function element(name, attributes, parent, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  if (parent) parent.appendChild(made);
  return made;
}

function html(name, properties, parent) {
  const made = Object.assign(document.createElement(name), properties);
  if (parent) parent.appendChild(made);
  return made;
}

function mark(shape, x, y, size, attributes, parent) {
  if (shape === "circle") return element("circle", { cx: x, cy: y, r: size, ...attributes }, parent);
  const corners = {
    square: [[-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]],
    triangle: [[0, -1.15], [1.1, 0.85], [-1.1, 0.85]],
    diamond: [[0, -1.3], [1.3, 0], [0, 1.3], [-1.3, 0]],
  }[shape];
  const points = corners.map(([dx, dy]) => `${x + dx * size},${y + dy * size}`).join(" ");
  return element("polygon", { points, ...attributes }, parent);
}

/* The plot */

function ticks(low, high, count) {
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= raw);
  const found = [];
  for (let k = Math.ceil(low / step); k * step <= high + 1e-9; k++) found.push(Number((k * step).toPrecision(10)));
  return found;
}

function frontier(points, better) {
  const best = [];
  let highest = -Infinity;
  const fastestFirst = [...points].sort((a, b) => b.x - a.x || better * (b.y - a.y));
  for (const point of fastestFirst) {
    if (point.row.complete && better * point.y > highest) {
      best.push(point);
      highest = better * point.y;
    }
  }
  return best.reverse();
}

function draw() {
  const plot = byId("plot");
  plot.replaceChildren();
  const metric = metricNamed[byId("y-axis").value];
  if (!metric) return;
  const xKey = byId("x-axis").value;
  const yKey = byId("of-videos").value;
  const points = results.rows
    .filter((row) => row.quality[metric.name] && row[xKey])
    .map((row) => ({ row, x: row[xKey], y: row.quality[metric.name][yKey] }));
  if (!points.length) return;
  const width = plot.clientWidth || 1000;
  const height = 440;
  const [left, right, top, bottom] = [62, width - 16, 14, height - 46];
  const span = (values) => {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const margin = (high - low || Math.abs(high) || 1) * 0.06;
    return [low - margin, high + margin];
  };
  const [xLow, xHigh] = span(points.map((point) => point.x));
  const [yLow, yHigh] = span(points.map((point) => point.y));
  const px = (x) => left + ((x - xLow) / (xHigh - xLow)) * (right - left);
  const py = (y) => bottom - ((y - yLow) / (yHigh - yLow)) * (bottom - top);
  plot.setAttribute("viewBox", `0 0 ${width} ${height}`);
  for (const x of ticks(xLow, xHigh, 8)) {
    element("line", { class: "grid", x1: px(x), x2: px(x), y1: top, y2: bottom }, plot);
    element("text", { x: px(x), y: bottom + 18, "text-anchor": "middle" }, plot, `${x}×`);
  }
  for (const y of ticks(yLow, yHigh, 7)) {
    element("line", { class: "grid", x1: left, x2: right, y1: py(y), y2: py(y) }, plot);
    element("text", { x: left - 8, y: py(y) + 4, "text-anchor": "end" }, plot, String(y));
  }
  const kind = xKey === "speedup" ? "measured speedup of denoising" : "ideal speedup (steps / computed steps)";
  element("text", { x: (left + right) / 2, y: height - 8, "text-anchor": "middle" }, plot, kind);
  const unit = metric.unit ? `, ${metric.unit}` : "";
  const said = `${metric.label}${unit}${metric.higher_is_better ? "" : " (lower is better)"}`;
  element("text", { transform: `translate(14 ${(top + bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, plot, said);
  const best = frontier(points, metric.higher_is_better ? 1 : -1);
  const path = best.map((point, i) => `${i ? "L" : "M"}${px(point.x)} ${py(point.y)}`).join(" ");
  element("path", { class: "frontier", d: path }, plot);
  for (const point of points) {
    const attributes = { class: "point", fill: colourOf(point.row), "data-label": point.row.label };
    const drawn = mark(shapeOf(point.row.predictor), px(point.x), py(point.y), 6, attributes, plot);
    drawn.addEventListener("mouseenter", () => raise(point, metric, px(point.x), py(point.y)));
    drawn.addEventListener("mouseleave", lower);
  }
}

function raise(point, metric, x, y) {
  const row = point.row;
  const figure = row.quality[metric.name];
  const lines = [
    row.label,
    `${digits(row.computed, 1)} steps computed, ideal ${digits(row.ideal_speedup, 2)}×, measured ${digits(row.speedup, 2)}×`,
    `${metric.label} ${digits(figure.mean, metricDigits(metric))} ${metric.unit}, worst ${digits(figure.worst, metricDigits(metric))}`,
    ...(figure.low === null ? [] : [`95% of ${digits(figure.low, metricDigits(metric))} to ${digits(figure.high, metricDigits(metric))}`]),
  ];
  const tip = byId("tip");
  tip.textContent = lines.join("\n");
  tip.hidden = false;
  tip.style.left = `${Math.min(x + 12, byId("plot").clientWidth - 330)}px`;
  tip.style.top = `${y + 12}px`;
  emphasise(row.label, true);
}

function lower() {
  byId("tip").hidden = true;
  emphasise(null, false);
}

function emphasise(label, on) {
  for (const node of document.querySelectorAll("[data-label]")) {
    node.classList.toggle("raised", on && node.dataset.label === label);
  }
}

function drawLegend() {
  const legend = byId("legend");
  const entry = (shape, colour, text) => {
    const line = html("span", {}, legend);
    mark(shape, 7, 7, 5, { fill: colour }, element("svg", { viewBox: "0 0 14 14" }, line));
    line.append(text);
  };
  for (const group of groups) {
    const row = results.rows.find((candidate) => candidate.kind !== "uncached" && groupOf(candidate) === group);
    entry(row.predictor === null ? "diamond" : "circle", colourOf(row), group);
  }
  for (const predictor of predictors) entry(shapeOf(predictor), "#6b7484", predictor);
  html("span", { textContent: "– – the frontier: nothing here is both faster and better" }, legend);
}

/* The table */

function strip(row) {
  const patterns = row.videos.map((video) => video.pattern).filter(Boolean);
  const svg = element("svg", {});
  if (!patterns.length) return svg;
  const steps = Math.max(...patterns.map((pattern) => pattern.length));
  const cell = Math.max(3, Math.min(8, Math.round(240 / steps)));
  svg.setAttribute("width", steps * cell);
  for (let step = 0; step < steps; step++) {
    const share = patterns.filter((pattern) => pattern[step] === "X").length / patterns.length;
    const look = { x: step * cell, y: 0, width: cell - 1, height: 14, fill: colourOf(row), opacity: 0.14 + 0.86 * share };
    element("rect", look, svg);
  }
  const counts = {};
  for (const pattern of patterns) counts[pattern] = (counts[pattern] || 0) + 1;
  const common = Object.entries(counts).sort((a, b) => b[1] - a[1]).map(([pattern, times]) => `${pattern}  ${times}×`);
  element("title", {}, svg, common.join("\n"));
  return svg;
}

const columns = [
  { head: "Setting", left: true, value: (row) => row.label },
  { head: "Computed", value: (row) => row.computed, text: (row) => digits(row.computed, 1) },
  { head: "Ideal", value: (row) => row.ideal_speedup, text: (row) => `${digits(row.ideal_speedup, 2)}×` },
  { head: "Speedup", value: (row) => row.speedup, text: (row) => `${digits(row.speedup, 2)}×` },
  { head: "Denoising s", value: (row) => row.seconds && row.seconds.denoising, text: (row) => digits(row.seconds && row.seconds.denoising, 2) },
  ...metrics.flatMap((metric) =>
    [["mean", metric.label + (metric.unit ? ` ${metric.unit}` : "")], ["worst", "worst"]].map(([key, head]) => ({
      head,
      value: (row) => (row.quality[metric.name] ? row.quality[metric.name][key] : null),
      text: (row) => digits(row.quality[metric.name] && row.quality[metric.name][key], metricDigits(metric)),
    })),
  ),
  { head: "Pattern", left: true, value: (row) => (row.videos[0] && row.videos[0].pattern) || "", node: strip },
];
let sortedBy = null;

function fillTable(rows) {
  const body = byId("table").tBodies[0];
  body.replaceChildren();
  for (const row of rows) {
    const line = html("tr", {}, body);
    line.dataset.label = row.label;
    for (const column of columns) {
      const cell = html("td", { className: column.left ? "left" : "" }, line);
      if (column.node) cell.append(column.node(row));
      else if (column.text) cell.textContent = column.text(row);
      else {
        html("span", { className: "swatch" }, cell).style.background = colourOf(row);
        if (row.ties.length) cell.title = `can't be told apart from ${row.ties.join(", ")} (95%, paired by video)`;
        cell.append(row.label + (row.frontier ? " *" : "") + (row.ties.length ? " ≈" : "") + (row.complete ? "" : " (incomplete)"));
      }
    }
    line.addEventListener("mouseenter", () => emphasise(row.label, true));
    line.addEventListener("mouseleave", () => emphasise(null, false));
  }
}

function sortBy(index, heads) {
  const descending = sortedBy && sortedBy.index === index ? !sortedBy.descending : !columns[index].left;
  sortedBy = { index, descending };
  heads.forEach((head, i) => {
    if (i === index) head.setAttribute("aria-sort", descending ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  });
  const value = columns[index].value;
  const order = (a, b) => (typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b);
  const rows = [...results.rows].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === null || y === null) return (x === null) - (y === null);
    return descending ? order(y, x) : order(x, y);
  });
  fillTable(rows);
}

function makeTable() {
  const heads = columns.map((column, index) => {
    const head = html("th", { textContent: column.head, className: column.left ? "left" : "" }, byId("table").tHead.rows[0]);
    head.addEventListener("click", () => sortBy(index, heads));
    return head;
  });
  fillTable(results.rows);
  const failures = results.rows.flatMap((row) =>
    row.videos.filter((video) => video.failure).map((video) => `${row.label}: ${video.name}: ${video.failure}`),
  );
  byId("failures").textContent = failures.length ? `Failed:\n${failures.join("\n")}` : "";
}

/* The videos */

let playing = true;
const players = () => [...byId("videos").querySelectorAll("video")];

function showVideos() {
  const box = byId("videos");
  box.replaceChildren();
  const index = Number(byId("prompt").value);
  const all = byId("shown").value === "all";
  const rows = results.rows.filter((row) => row.kind === "uncached" || all || row.frontier).slice(0, MOST_VIDEOS);
  for (const row of rows) {
    const video = row.videos[index];
    const figure = html("figure", {}, box);
    if (video.file) html("video", { src: encodeURI(video.file), muted: true, loop: true, playsInline: true, preload: "auto" }, figure);
    const caption = html("figcaption", {}, figure);
    html("b", { textContent: row.label }, caption);
    const figures = metrics.filter((metric) => metric.name in video.quality)
      .map((metric) => `${metric.label} ${digits(video.quality[metric.name], metricDigits(metric))}`);
    const speed = video.speedup && row.kind !== "uncached" ? [`${digits(video.speedup, 2)}×`] : [];
    caption.append(html("br", {}), video.failure || [...speed, ...figures].join(", "));
  }
  together();
}

function together() {
  const started = players();
  const ready = started.map((video) =>
    video.readyState >= 3 ? null : new Promise((done) => {
      video.addEventListener("canplay", done, { once: true });
      video.addEventListener("error", done, { once: true });
    }),
  );
  Promise.all(ready).then(() => {
    for (const video of started) {
      if (!video.isConnected) continue;
      video.currentTime = 0;
      if (playing) video.play().catch(() => {});
    }
  });
}

function keepTogether() {
  const [first, ...others] = players();
  if (!first || !playing || first.readyState < 2) return;
  for (const video of others) {
    const apart = Math.abs(video.currentTime - first.currentTime);
    const length = first.duration || Infinity;
    if (video.readyState >= 2 && Math.min(apart, length - apart) > 0.15) video.currentTime = first.currentTime;
  }
}

function makeVideos() {
  results.prompts.forEach(({ prompt, seed }, i) => {
    html("option", { value: i, textContent: `${prompt} (seed ${seed})` }, byId("prompt"));
  });
  const several = results.rows.filter((row) => row.frontier).length;
  byId("shown").value = several && results.rows.length > 24 ? "frontier" : "all";
  byId("prompt").addEventListener("change", showVideos);
  byId("shown").addEventListener("change", showVideos);
  byId("size").addEventListener("input", (event) => byId("videos").style.setProperty("--size", `${event.target.value}px`));
  byId("play").addEventListener("click", () => {
    playing = !playing;
    byId("play").textContent = playing ? "Pause" : "Play together";
    if (playing) together();
    else players().forEach((video) => video.pause());
  });
  showVideos();
  setInterval(keepTogether, 1000);
}

drawLegend();
makeTable();
draw();
window.addEventListener("load", makeVideos); // the table and the plot wait for no video
for (const id of ["x-axis", "y-axis", "of-videos"]) byId(id).addEventListener("change", draw);
window.addEventListener("resize", draw);
