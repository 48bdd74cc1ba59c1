// The timeline of a PE: what its main thread, its microthreads and its ramp did, from the trace.

import { Numbers, Run, Trace, array } from "./data";
import { count, el, fit, style } from "./dom";

interface Span { lane: number; kind: number; name: string; start: number; end: number }

const MAIN = 255, RAMP = 254, ROW = 26;
const TINTS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999933", "#AA4499", "#44AA99", "#882255"];

async function spans(trace: Trace, pe: number): Promise<Span[]> {
  const [pes, counts] = [await array(trace.pes), await array(trace.counts)];
  const at = pes.indexOf(pe as never);
  if (at < 0) return [];
  let first = 0;
  for (let i = 0; i < at; i++) first += counts[i];
  const part = async (where: Trace["lane"]): Promise<Numbers> => (await array(where)).subarray(first, first + counts[at]) as Numbers;
  const [lane, kind, name, start, length] = await Promise.all([trace.lane, trace.kind, trace.name, trace.start, trace.length].map(part));
  return Array.from(start, (cycle, i) => ({ lane: lane[i], kind: kind[i], name: trace.names[name[i]], start: cycle, end: cycle + length[i] }));
}

/** The element of a PE's timeline.  range: cycles to show at first; null: all. */
export async function timeline(run: Run, pe: number, range: [number, number] | null): Promise<HTMLElement> {
  const box = el("section", { class: "lanes" });
  const { trace } = run;
  if (!trace) {
    box.append(el("p", { class: "note" }, "No timeline: this run was not traced (--trace FILE)."));
    return box;
  }
  const all = await spans(trace, pe);
  const lanes = [...new Set(all.map((span) => span.lane))].sort((a, b) => order(a) - order(b));
  const canvas = el("canvas", { id: "timeline", tabindex: 0, role: "img", "aria-label": `timeline of the PE: ${all.length} intervals; wheel zooms, dragging moves`, style: `height:${lanes.length * ROW + 24}px` });
  const says = el("output", { class: "says" });
  let [from, to] = range ?? [0, Math.max(run.cycles, 1)];
  if (!range && all.length) { from = all[0].start; to = Math.max(...ends(all)); }
  const draw = () => paint(canvas, all, lanes, from, to);
  const zoom = (factor: number, at: number) => {
    const middle = from + at * (to - from), span = Math.min(Math.max((to - from) * factor, 8), Math.max(run.cycles * 1.1, 16));
    from = middle - at * span; to = from + span;
    draw();
  };
  let held: number | null = null;
  canvas.addEventListener("wheel", (event) => { event.preventDefault(); zoom(Math.exp(event.deltaY * 0.0016), event.offsetX / canvas.clientWidth); }, { passive: false });
  canvas.addEventListener("pointerdown", (event) => { held = event.offsetX; canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener("pointerup", () => (held = null));
  canvas.addEventListener("pointermove", (event) => {
    if (held !== null) {
      const by = ((held - event.offsetX) / canvas.clientWidth) * (to - from);
      from += by; to += by; held = event.offsetX;
      draw();
    }
    const cycle = from + (event.offsetX / canvas.clientWidth) * (to - from), lane = lanes[Math.floor(event.offsetY / ROW)];
    const near = ((to - from) / canvas.clientWidth) * 3;
    const found = all.filter((span) => span.lane === lane && span.start <= cycle + (span.kind === 3 ? near : 0) && (span.kind === 3 ? span.start >= cycle - near : span.end > cycle)).sort((a, b) => b.kind - a.kind)[0];
    says.textContent = `cycle ${count(Math.floor(cycle))}${found ? `: ${found.name}${found.end > found.start ? `, cycles ${count(found.start)} to ${count(found.end - 1)} (${count(found.end - found.start)})` : ""}` : ""}`;
  });
  canvas.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -0.2, ArrowRight: 0.2 }[event.key];
    if (by) { const step = by * (to - from); from += step; to += step; draw(); }
    else if (event.key === "+" || event.key === "=") zoom(0.5, 0.5);
    else if (event.key === "-") zoom(2, 0.5);
    else return;
    event.preventDefault(); event.stopPropagation();
  });
  new ResizeObserver(draw).observe(canvas);
  box.append(el("h3", {}, "Timeline"), lanes.length ? canvas : el("p", { class: "note" }, "The trace has no event of this PE."), says);
  const missing = trace.left ? `The page holds the trace up to cycle ${count(trace.until)}: ${count(trace.left)} later intervals were left out (--trace-pes, --trace-window).` : trace.dropped ? `${count(trace.dropped)} events were not recorded.` : "";
  if (missing) box.append(el("p", { class: "note warn" }, missing));
  return box;
}

const ends = (all: Span[]): number[] => { let top = 1; for (const span of all) top = Math.max(top, span.end); return [top]; };
const order = (lane: number): number => (lane === MAIN ? -1 : lane);
const title = (lane: number): string => (lane === MAIN ? "main" : lane === RAMP ? "ramp" : `ut ${lane}`);

function paint(canvas: HTMLCanvasElement, all: Span[], lanes: number[], from: number, to: number): void {
  const { pen, width, height } = fit(canvas);
  pen.clearRect(0, 0, width, height);
  const x = (cycle: number) => ((cycle - from) / (to - from)) * width;
  const names = new Map<string, string>();
  pen.font = "11px system-ui, sans-serif"; pen.textBaseline = "middle";
  lanes.forEach((_, row) => { if (row % 2) { pen.fillStyle = style("--stripe"); pen.fillRect(0, row * ROW, width, ROW); } });
  const last = new Float64Array(lanes.length * 4).fill(-1);
  for (const span of all) {
    const left = x(span.start), right = Math.max(x(span.end), left + 1), row = lanes.indexOf(span.lane);
    if (right < 0 || left > width) continue;
    const slot = row * 4 + span.kind;
    if (Math.floor(right) === last[slot] && right - left <= 1.5) continue; // another one is on this pixel
    last[slot] = Math.floor(right);
    const top = row * ROW + (span.kind ? 6 : 2), high = ROW - (span.kind ? 12 : 4);
    if (span.kind === 1) {
      if (!names.has(span.name)) names.set(span.name, TINTS[hash(span.name) % TINTS.length]);
      pen.fillStyle = names.get(span.name)!;
    } else pen.fillStyle = span.kind === 0 ? style("--task") : span.kind === 2 ? style("--paper") : style("--hops");
    pen.fillRect(left, top, right - left, high);
    if (span.kind === 2) hatch(pen, left, top, right - left, high);
    if (span.kind < 2 && right - left > 40) {
      pen.fillStyle = span.kind ? "#fff" : style("--ink");
      pen.save(); pen.beginPath(); pen.rect(left, top, right - left, high); pen.clip();
      pen.strokeStyle = "#0008"; pen.lineWidth = 2;
      if (span.kind) pen.strokeText(span.name, Math.max(left, 0) + 4, top + high / 2);
      if (span.kind) pen.fillText(span.name, Math.max(left, 0) + 4, top + high / 2);
      pen.restore();
    }
  }
  pen.fillStyle = style("--ink");
  lanes.forEach((lane, row) => { const words = title(lane), wide = pen.measureText(words).width; pen.fillStyle = style("--paper"); pen.fillRect(0, row * ROW + 6, wide + 6, 14); pen.fillStyle = style("--ink"); pen.fillText(words, 3, row * ROW + ROW / 2); });
  const step = nice((to - from) / (width / 110));
  for (let cycle = Math.ceil(from / step) * step; cycle < to; cycle += step) {
    pen.fillStyle = style("--line"); pen.fillRect(x(cycle), 0, 1, lanes.length * ROW);
    pen.fillStyle = style("--ink"); pen.fillText(count(Math.round(cycle)), x(cycle) + 3, lanes.length * ROW + 12);
  }
}

function hatch(pen: CanvasRenderingContext2D, left: number, top: number, wide: number, high: number): void {
  const from = Math.max(left, -high), to = Math.min(left + wide, 20000);
  pen.strokeStyle = style("--wait"); pen.lineWidth = 1;
  pen.save(); pen.beginPath(); pen.rect(left, top, wide, high); pen.clip(); pen.beginPath();
  for (let at = from - high; at < to; at += 5) { pen.moveTo(at, top + high); pen.lineTo(at + high, top); }
  pen.stroke(); pen.restore();
  pen.strokeRect(left + 0.5, top + 0.5, Math.max(wide - 1, 0.5), high - 1);
}

const hash = (name: string): number => [...name].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) >>> 0, 7);

function nice(step: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(step, 1)));
  return [1, 2, 5, 10].map((by) => by * power).find((by) => by >= step) ?? 10 * power;
}
