// The page: builds the elements and keeps what is shown in step with what is chosen.

import "./style.css";
import { Run, array, busy, colorName, place, plane, read } from "./data";
import { count, el, fit, percent, signed, style } from "./dom";
import { Viewport, WaferMap } from "./map";
import { Flow, path, routes, waits } from "./overlay";
import { classAt, codePanel, comparePanel, deadlockPanel, pathPanel, pePanel, runPanel } from "./panels";
import { Scale, pixels, position, ticks } from "./scale";
import { Range, TimeBar } from "./time";

const data = read(), [first, second] = data.runs;
const sameGrid = Boolean(second) && first.width === second.width && first.height === second.height;
type Shown = "A" | "B" | "diff" | "both";
const now = { measure: "utilization", most: true, color: -1, pe: null as number | null, shown: (second ? (sameGrid ? "diff" : "A") : "A") as Shown, tab: "run" };
const body = document.body, root = document.getElementById("explorer")!;
const views = [first, second].map((run) => run && new Viewport(run.width, run.height));
if (sameGrid) views[1] = views[0];
const run = (): Run => (now.shown === "B" ? second : first);

// --- the measures ----------------------------------------------------------------------------------------------------

const groups: [string, string][] = [["cause", "Cycles by cause"], ["count", "Counts"], ["link", "Links: wavelets per cycle"], ["wait", "Links: mean number of waiting wavelets"]];
const measure = el("select", { id: "measure", title: "what the map shows (m: next)", onchange: () => { now.measure = measure.value; void update(); } });
measure.append(el("option", { value: "utilization" }, "utilization: busy share of the cycles"));
for (const [group, words] of groups) {
  const entries = first.planes.filter((entry) => entry.group === group && data.runs.some((one) => one.planes.find((other) => other.key === entry.key)?.array));
  if (entries.length) measure.append(el("optgroup", { label: words }, ...entries.map((entry) => el("option", { value: entry.key }, entry.words))));
}

/** The numbers of a measure.  range: bins of the run of the chart, for the utilization. */
async function numbers(of: Run, range: Range): Promise<Float64Array> {
  if (now.measure === "utilization") {
    const activity = of.series?.activity;
    if (!range || !activity) return scaled(await busy(of), 1 / Math.max(of.cycles, 1));
    const all = await array(activity), sum = new Float64Array(of.width * of.height);
    const [first, end] = time.cycles(range), last = of.series!.lengths.length - 1; // a run may have other bins
    const [from, to] = [Math.floor(first / of.series!.bin), Math.ceil(end / of.series!.bin) - 1].map((bin) => Math.min(last, bin));
    const step = of.series!.step ?? 1, places = Math.ceil(of.width / step);
    let cycles = 0;
    for (let bin = from; bin <= to; bin++) {
      cycles += of.series!.lengths[bin];
      for (let y = 0, i = 0, at = bin * places * of.height; y < of.height; y++, at += places) for (let x = 0; x < of.width; x++, i++) sum[i] += all[at + Math.floor(x / step)] / Math.min(step, of.width - Math.floor(x / step) * step);
    }
    return scaled(sum, 1 / Math.max(cycles, 1));
  }
  if (byColor(of)) {
    const ports = of.links!.find(([color]) => color === now.color)?.[1], values = new Float64Array(of.width * of.height);
    if (ports) values.set(await array(ports[Number(now.measure.slice(4))]));
    return scaled(values, 1 / Math.max(of.cycles, 1));
  }
  const values = await plane(of, now.measure);
  return group() === "count" ? values : scaled(values, 1 / Math.max(of.cycles, 1));
}

function scaled(values: Float64Array, by: number): Float64Array {
  for (let i = 0; i < values.length; i++) values[i] *= by;
  return values;
}

/** Whether the map shows the links of the chosen color only. */
const byColor = (of: Run): boolean => Boolean(of.links && now.color >= 0 && group() === "link");
const group = (): string => (now.measure === "utilization" ? "cause" : first.planes.find((entry) => entry.key === now.measure)!.group);
const words = (): string => {
  if (now.measure === "utilization") return "utilization: busy share of the cycles";
  const entry = first.planes.find((found) => found.key === now.measure)!;
  return `${entry.words}${byColor(run()) ? ` of ${colorName(run(), now.color)}` : ""}${{ cause: ", share of the cycles", count: "", link: ", per cycle", wait: ", mean" }[entry.group]}`;
};

const largest = (values: Float64Array): number => values.reduce((best, value, i) => (Math.abs(value) > Math.abs(values[best]) ? i : best), 0);
const mean = (values: Float64Array): number => values.reduce((sum, value) => sum + value, 0) / values.length;
const top = (values: Float64Array): number => { let most = 0; for (const value of values) if (Math.abs(value) > most) most = Math.abs(value); return most; };

function scaleOf(values: Float64Array[], difference: boolean): Scale {
  const kind = group(), show = kind === "cause" ? percent : count;
  const most = Math.max(...values.map(top)) || 1;
  if (difference) return { low: -most, high: most, root: false, palette: "puor", words: (value) => signed(show(value), value) };
  if (kind === "cause") return { low: 0, high: 1, root: true, palette: "viridis", words: percent };
  if (kind === "link") return { low: 0, high: 1, root: true, palette: "cividis", words: count };
  return { low: 0, high: most, root: false, palette: kind === "wait" ? "cividis" : "viridis", words: count };
}

// --- maps ------------------------------------------------------------------------------------------------------------

const hoverBox = el("div", { class: "hover", hidden: true });
const listeners = (of: Run) => ({
  hover(pe: number | null, px: number, py: number, map: WaferMap) {
    hoverBox.hidden = pe === null;
    if (pe === null) return;
    const [wide, high] = map.perPixel().map((side) => Math.max(1, Math.round(side)));
    const x = pe % of.width, y = Math.floor(pe / of.width), many = wide * high > 1;
    const value = many ? map.cell(x, Math.min(of.width, x + wide), y, Math.min(of.height, y + high)) : map.values[pe];
    const where = many ? `PEs ${place(of, pe)} to (${Math.min(of.width, x + wide) - 1}, ${Math.min(of.height, y + high) - 1}), ${map.most ? "maximum" : "mean"}` : `PE ${place(of, pe)}`;
    hoverBox.replaceChildren(el("b", {}, where), el("br"), `${map.scale.words(value)} ${words()}`);
    void classAt(of, pe).then((one) => one && !hoverBox.hidden && !hoverBox.querySelector("i") && hoverBox.append(el("br"), el("i", {}, `class ${one.name}`)));
    const at = map.canvas.getBoundingClientRect(), box = root.getBoundingClientRect();
    const left = at.left - box.left + px + 16, over = left + 260 > root.clientWidth;
    hoverBox.style.cssText = `top:${at.top - box.top + py + 16}px;${over ? `right:${root.clientWidth - left + 32}px` : `left:${left}px`}`;
  },
  click(pe: number | null) { select(pe); },
  moved: drawMaps,
});
const maps = data.runs.map((one, i) => new WaferMap(views[i], listeners(one), second ? "AB"[i] : ""));
const mapBox = el("div", { class: "maps" });
const legend = el("canvas", { class: "legend", role: "img" }), legendSays = el("output", { class: "says", id: "legend-says" });

function drawMaps(): void {
  for (const map of maps) map.draw();
  const view = views[now.shown === "B" ? 1 : 0];
  mapBox.dataset.zoom = `${view.sx.toFixed(4)},${view.sy.toFixed(4)}`;
  mapBox.dataset.corner = `${view.x.toFixed(2)},${view.y.toFixed(2)}`;
  noteOfPixels();
}

function noteOfPixels(): void {
  const [wide, high] = maps[now.shown === "B" ? 1 : 0].perPixel();
  pixelNote.textContent = wide > 1.001 || high > 1.001 ? `a pixel shows the ${now.most ? "maximum" : "mean"} of ${wide.toFixed(1)} × ${high.toFixed(1)} PEs` : "";
}

function drawLegend(scale: Scale): void {
  const { pen, width } = fit(legend);
  const colors = pixels(scale.palette), inside = width - 60;
  pen.clearRect(0, 0, width, 40);
  const strip = pen.createImageData(Math.max(1, Math.round(inside * (window.devicePixelRatio || 1))), 1), out = new Uint32Array(strip.data.buffer);
  for (let i = 0; i < out.length; i++) out[i] = colors[Math.round((i / Math.max(out.length - 1, 1)) * (colors.length - 1))];
  const source = el("canvas", { width: out.length, height: 1 });
  source.getContext("2d")!.putImageData(strip, 0, 0);
  pen.drawImage(source, 30, 0, inside, 12);
  pen.fillStyle = style("--ink"); pen.font = "11px system-ui, sans-serif"; pen.textAlign = "center";
  let free = -1e9;
  for (const value of ticks(scale)) {
    const x = 30 + position(scale, value) * inside, label = scale.root && scale.high === 1 && group() === "cause" ? `${Math.round(100 * value)} %` : scale.words(value);
    const half = pen.measureText(label).width / 2;
    if (x - half < free) continue;
    free = x + half + 6;
    pen.fillRect(x - 0.5, 12, 1, 4);
    pen.fillText(label, x, 28);
  }
}

// --- the controls ----------------------------------------------------------------------------------------------------

const pixelNote = el("span", { class: "says", id: "pixel-note" });
const most = el("select", { id: "aggregate", title: "of PEs that share a pixel", onchange: () => { now.most = most.value === "maximum"; void update(); } }, el("option", {}, "maximum"), el("option", {}, "mean"));
const color = el("select", { id: "color", title: "routes of a color (c: next)", onchange: () => { now.color = Number(color.value); void update(); } }, el("option", { value: -1 }, "no routes"));
for (const route of first.routes ?? []) color.append(el("option", { value: route.color }, colorName(first, route.color)));
const shown = el("div", { class: "choice", role: "radiogroup", "aria-label": "runs" });
if (second) {
  const choices: [Shown, string][] = [["A", "A"], ["B", "B"], ["both", "side by side"], ...(sameGrid ? ([["diff", "B − A"]] as [Shown, string][]) : [])];
  for (const [key, label] of choices) shown.append(el("button", { "data-shown": key, role: "radio", onclick: () => { const before = run(); now.shown = key; arrange(); if (run() !== before) { if (!sameGrid) now.pe = null; useTime(); } void update(); void panel(); } }, label));
}
const zoomBy = (factor: number) => { const canvas = maps[now.shown === "B" ? 1 : 0].canvas; for (const view of new Set(views)) view?.zoom(factor, canvas.clientWidth / 2, canvas.clientHeight / 2); drawMaps(); };
const whole = () => { maps.forEach((map, i) => map.canvas.clientWidth && views[i].whole(map.canvas.clientWidth, map.canvas.clientHeight)); drawMaps(); };
const theme = el("button", { id: "theme", title: "light or dark (d)", "aria-label": "light or dark", onclick: () => switchTheme() }, "◐");
const helpBox = el("dialog", { id: "help" }, el("h2", {}, "Keys"), el("div", {}), el("form", { method: "dialog" }, el("button", {}, "close")));
const KEYS: [string, string][] = [["arrows", "move the selected PE, or the map if none is selected"], ["Shift + arrows", "move the map"], ["+ − 0", "zoom in, out, to the whole grid; so does the wheel"], ["space", "play the run over time, or stop"], [", .", "one bin back, one forward"], ["m M", "next measure, previous one"], ["c", "routes of the next color"], ["x", "maximum or mean where a pixel shows several PEs"], ["v", "other view of two runs"], ["d", "light or dark"], ["Esc", "no PE selected, the whole run"], ["?", "this list"]];
helpBox.querySelector("div")!.append(el("dl", {}, ...KEYS.flatMap(([key, what]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, what)])));

const time = new TimeBar(first, (range) => {
  if (range && first.series?.activity && now.measure !== "utilization") now.measure = measure.value = "utilization";
  body.dataset.range = range ? range.join("-") : "";
  void update();
});
const useTime = () => { time.use(run(), !second ? "" : now.shown === "B" ? "B over time" : "A over time"); body.dataset.range = ""; };
const timeNote = el("p", { class: "note" });
const tabs = el("nav", { class: "tabs", role: "tablist" }), panelBox = el("div", { class: "panel", id: "panel" });

/** Updates are numbered: what an earlier one has unpacked late is not shown. */
let turn = 0;
async function update(): Promise<void> {
  const mine = ++turn, range = time.range;
  const planes = await Promise.all(data.runs.map((one) => numbers(one, range)));
  const flows = await Promise.all(data.runs.map(async (one) => { const found = one.routes?.find((route) => route.color === now.color); return found ? flowOf(one, found.color) : null; }));
  if (mine !== turn) return;
  const difference = now.shown === "diff";
  if (difference) planes[0] = planes[1].map((value, i) => value - planes[0][i]);
  const scale = scaleOf(now.shown === "both" ? planes : [planes[now.shown === "B" ? 1 : 0]], difference);
  maps.forEach((map, i) => {
    Object.assign(map, { values: planes[i], scale, most: now.most, selected: now.pe });
    map.overlays = [];
    if (flows[i]) map.overlays.push(routes(flows[i]!, now.pe));
    if (data.runs[i].waits && (now.tab === "deadlock" || now.color < 0)) map.overlays.push(waits(data.runs[i].waits!));
    if (data.runs[i].path && now.tab === "path") map.overlays.push(path(data.runs[i].path!.pes));
    map.canvas.setAttribute("aria-label", `map of ${data.runs[i].width} x ${data.runs[i].height} PEs: ${words()}`);
  });
  maps[0].label = !second ? "" : difference ? "B − A" : "A";
  const about = (i: number): string => {
    const values = planes[i], at = largest(values);
    return `mean ${scale.words(mean(values))}, ${difference ? "largest" : "maximum"} ${scale.words(values[at])} at ${place(data.runs[i], at)}`;
  };
  const rounded = run().planes.find((entry) => entry.key === now.measure)?.step;
  legendSays.replaceChildren(el("b", {}, difference ? `B − A, ${words()}` : words()), `: ${now.shown === "both" ? `A: ${about(0)}; B: ${about(1)}` : about(now.shown === "B" ? 1 : 0)}${rounded ? `; rounded to steps of ${count(rounded)} to fit into the page` : ""}`);
  const flow = flows[now.shown === "B" ? 1 : 0];
  routeSays.textContent = flow ? `${count(flow.senders)} sender${flow.senders === 1 ? "" : "s"} (dots), ${count(flow.receivers)} receiver${flow.receivers === 1 ? "" : "s"} (rings)` : "";
  const recorded = Boolean(run().series?.activity), ranged = range && (now.measure !== "utilization" || !recorded);
  const step = run().series?.step ?? 1, parts = range && recorded && !ranged && step > 1 ? `Over time the utilization is a mean of ${step} PEs of a row.` : "";
  timeNote.textContent = ranged ? `The map shows the whole run: ${recorded ? "only the utilization" : "nothing"} was recorded by PE over time.` : parts;
  body.dataset.measure = now.measure;
  body.dataset.shown = now.shown;
  drawLegend(scale);
  drawMaps();
  for (const button of shown.querySelectorAll("button")) button.setAttribute("aria-checked", String(button.dataset.shown === now.shown));
}

const flowCache = new Map<string, Promise<Flow>>();
function flowOf(one: Run, wanted: number): Promise<Flow> {
  const key = `${data.runs.indexOf(one)}.${wanted}`;
  let found = flowCache.get(key);
  const route = one.routes!.find((other) => other.color === wanted)!;
  if (!found) flowCache.set(key, (found = array(route.array).then((where) => new Flow(one, route, where))));
  return found;
}

const routeSays = el("span", { class: "says", id: "route-says" });

// --- panels ----------------------------------------------------------------------------------------------------------

let panelTurn = 0;
async function panel(): Promise<void> {
  const mine = ++panelTurn, of = run();
  const names: [string, string][] = [["run", "Run"], ["pe", "PE"], ...(of.classes?.length ? ([["code", "Code"]] as [string, string][]) : []), ...(of.path ? ([["path", "Path"]] as [string, string][]) : []), ...(of.waits ? ([["deadlock", "Deadlock"]] as [string, string][]) : []), ...(second ? ([["compare", "Compare"]] as [string, string][]) : [])];
  if (!names.some(([key]) => key === now.tab)) now.tab = "run";
  tabs.replaceChildren(...names.map(([key, label]) => el("button", { role: "tab", "data-tab": key, "aria-selected": String(key === now.tab), onclick: () => { now.tab = key; void panel(); void update(); } }, label)));
  const made = await content(of);
  if (mine !== panelTurn) return;
  panelBox.replaceChildren(made);
  body.dataset.tab = now.tab;
  body.dataset.pe = now.pe === null ? "" : place(of, now.pe);
}

async function content(of: Run): Promise<HTMLElement> {
  switch (now.tab) {
    case "pe": {
      if (now.pe === null) return el("p", { class: "note" }, "Click on a PE of the map.");
      const flow = now.color >= 0 && of.routes?.some((route) => route.color === now.color) ? await flowOf(of, now.color) : null;
      return pePanel(of, now.pe, flow, time.range && time.cycles(time.range));
    }
    case "code": {
      const at = now.pe === null ? null : await classAt(of, now.pe);
      const one = chosenClass !== null ? of.classes![chosenClass] ?? of.classes![0] : at ?? of.classes![0];
      const choose = el("select", { id: "class", title: "class of PEs", onchange: () => { chosenClass = Number(choose.value); void panel(); } });
      of.classes!.forEach((other, i) => choose.append(el("option", { value: i, selected: other === one }, `${other.name}: ${count(other.pes)} PEs`)));
      return el("div", {}, choose, await codePanel(of, one, data.causes));
    }
    case "path": return pathPanel(of, show);
    case "deadlock": return deadlockPanel(of, show);
    case "compare": return comparePanel(data.runs, data.causes);
  }
  return runPanel(of);
}

/** Selects a PE that a list names, and moves the map there; the list stays. */
function show(pe: number): void {
  const of = run();
  select(pe, false);
  for (const [i, map] of maps.entries()) views[i].center(pe % of.width, Math.floor(pe / of.width), map.canvas.clientWidth, map.canvas.clientHeight, 24);
  drawMaps();
}

let chosenClass: number | null = null;
function select(pe: number | null, open = true): void {
  now.pe = pe;
  chosenClass = null;
  if (open && pe !== null && now.tab !== "code") now.tab = "pe";
  void update();
  if (open || !["deadlock", "path"].includes(now.tab)) void panel();
  else body.dataset.pe = pe === null ? "" : place(run(), pe);
}

// --- theme, keys, start ----------------------------------------------------------------------------------------------

const prefers = window.matchMedia("(prefers-color-scheme: dark)");
function setTheme(dark: boolean): void { document.documentElement.dataset.theme = dark ? "dark" : "light"; time.draw(); void update(); }
function switchTheme(): void { setTheme(document.documentElement.dataset.theme !== "dark"); }
prefers.addEventListener("change", () => setTheme(prefers.matches));

function next(choice: HTMLSelectElement, by: number): void {
  choice.selectedIndex = (choice.selectedIndex + by + choice.options.length) % choice.options.length;
  choice.dispatchEvent(new Event("change"));
}

const ARROWS: Record<string, [number, number]> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
document.addEventListener("keydown", (event) => {
  const target = event.target as HTMLElement;
  if (event.ctrlKey || event.metaKey || event.altKey || helpBox.open || ["SELECT", "TEXTAREA"].includes(target.tagName) || (target.tagName === "INPUT" && event.key !== "Escape")) return;
  const arrow = ARROWS[event.key], of = run();
  if (arrow && now.pe !== null && !event.shiftKey) {
    const x = (now.pe % of.width) + arrow[0], y = Math.floor(now.pe / of.width) + arrow[1];
    if (x >= 0 && y >= 0 && x < of.width && y < of.height) select(y * of.width + x);
  } else if (arrow) { for (const view of new Set(views)) view?.move(-60 * arrow[0], -60 * arrow[1]); drawMaps(); }
  else if (event.key === "+" || event.key === "=") zoomBy(1.5);
  else if (event.key === "-" || event.key === "−") zoomBy(1 / 1.5);
  else if (event.key === "0") whole();
  else if (event.key === " " && target.tagName !== "BUTTON") time.play();
  else if (event.key === "," || event.key === ".") time.step(event.key === "." ? 1 : -1);
  else if (event.key === "m" || event.key === "M") next(measure, event.key === "m" ? 1 : -1);
  else if (event.key === "c") next(color, 1);
  else if (event.key === "x") next(most, 1);
  else if (event.key === "v" && second) { const all = [...shown.querySelectorAll("button")]; all[(all.findIndex((button) => button.dataset.shown === now.shown) + 1) % all.length].click(); }
  else if (event.key === "d") switchTheme();
  else if (event.key === "?") helpBox.showModal();
  else if (event.key === "Escape") { time.stop(); time.set(null); select(null); }
  else return;
  event.preventDefault();
});

function arrange(): void {
  mapBox.replaceChildren(...(now.shown === "both" ? maps : [maps[now.shown === "B" ? 1 : 0]]).map((map) => map.canvas));
  mapBox.classList.toggle("two", now.shown === "both");
}

root.append(
  el("header", {}, el("h1", {}, second ? `A: ${first.title} · B: ${second.title}` : first.title), el("p", {}, second ? "" : `${first.duration}. ${first.headline}`), theme, el("button", { title: "keys (?)", "aria-label": "keys", onclick: () => helpBox.showModal() }, "?")),
  el("div", { class: "left" },
    el("div", { class: "row" }, shown, measure, el("label", {}, "routes ", color), most, el("button", { title: "zoom in (+)", "aria-label": "zoom in", id: "in", onclick: () => zoomBy(1.5) }, "+"), el("button", { title: "zoom out (-)", "aria-label": "zoom out", id: "out", onclick: () => zoomBy(1 / 1.5) }, "−"), el("button", { title: "whole grid (0)", id: "fit", onclick: whole }, "fit")),
    el("div", { class: "row notes" }, legendSays), legend, mapBox, el("div", { class: "row notes" }, pixelNote, routeSays), timeNote, time.element),
  el("div", { class: "right" }, tabs, panelBox), hoverBox, helpBox,
);
if (!first.routes?.length) color.parentElement!.hidden = true;
arrange();
if (first.waits) now.tab = "deadlock";
if (second) now.tab = "compare";
document.documentElement.dataset.theme = prefers.matches ? "dark" : "light";
new ResizeObserver(() => void update()).observe(legend);
useTime();
void Promise.all([update(), panel()]).then(() => (body.dataset.ready = "yes"));
