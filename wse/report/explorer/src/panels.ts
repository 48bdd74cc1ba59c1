// The panels beside the map: figures of the run, of a PE, code with cycles, the deadlock, the comparison of two runs.

import { ClassOfPEs, NO_CLASS, Run, array, colorName, place, plane } from "./data";
import { Child, count, el, percent, signed, table } from "./dom";
import { Flow } from "./overlay";
import { timeline } from "./lanes";
import { memoryMap, statePanel } from "./state";

/** A bar of cycles by cause, and a table. */
function causeBar(parts: { words: string; color: string; share: number }[]): HTMLElement {
  const shown = parts.filter((part) => part.share > 0).sort((a, b) => b.share - a.share);
  const bar = el("div", { class: "bar", "aria-hidden": "true" }, ...shown.map((part) => el("i", { style: `width:${100 * part.share}%;background:${part.color}`, title: `${part.words} ${percent(part.share)}` })));
  const rows = shown.map((part) => [el("span", {}, el("i", { class: "dot", style: `background:${part.color}` }), part.words), percent(part.share)]);
  return el("div", {}, bar, table([], rows, { class: "figures" }));
}

export function runPanel(run: Run): HTMLElement {
  const box = el("div", {}, el("h2", {}, run.title), el("p", {}, run.duration), run.ended === "done" ? null : el("p", { class: "note warn" }, `The run ended: ${run.ended}.`));
  box.append(el("h3", {}, "Figures"), table([], run.figures, { class: "figures" }));
  box.append(el("h3", {}, "PE-cycles by cause"), causeBar(run.causes));
  if (run.colors.length) {
    const rows = run.colors.map(([color, ports]) => [colorName(run, color), count(ports.slice(0, 4).reduce((sum, row) => sum + row[0], 0)), count(ports[4][0]), count(ports.reduce((sum, row) => sum + row[1], 0))]);
    box.append(el("h3", {}, "Wavelets by color"), table(["color", "hops", "down the ramp", "cycles waited"], rows, { class: "figures" }));
  }
  if (run.opcodes.length) box.append(el("h3", {}, "Instructions"), table([], run.opcodes.slice(0, 12).map(([name, times]) => [name, count(times)]), { class: "figures" }));
  box.append(el("details", {}, el("summary", {}, "Options and versions"), el("pre", {}, JSON.stringify(run.meta, null, 2))));
  return box;
}

export async function classAt(run: Run, pe: number): Promise<ClassOfPEs | null> {
  if (!run.class_of || !run.classes) return null;
  const index = (await array(run.class_of))[pe];
  return index === NO_CLASS ? null : run.classes[index] ?? null;
}

export async function pePanel(run: Run, pe: number, flow: Flow | null, range: [number, number] | null): Promise<HTMLElement> {
  const found = await classAt(run, pe), cycles = Math.max(run.cycles, 1);
  const box = el("div", { id: "pe" }, el("h2", {}, `PE ${place(run, pe)}`), el("p", {}, found ? `class ${found.name}, ${count(found.pes)} PE${found.pes === 1 ? "" : "s"}` : run.classes ? "no program" : ""));
  const of = async (group: string) => Promise.all(run.planes.filter((entry) => entry.group === group && entry.array).map(async (entry) => ({ entry, value: (await plane(run, entry.key))[pe] })));
  const causes = await of("cause");
  box.append(el("h3", {}, "Cycles by cause"), causeBar(causes.map(({ entry, value }) => ({ words: entry.words, color: run.causes.find((cause) => cause.key === entry.key)!.color, share: value / cycles }))));
  const rows = [...(await of("count")), ...(await of("link")), ...(await of("wait"))].map(({ entry, value }) => [entry.words, count(value)]);
  if (flow) {
    const name = colorName(run, flow.route.color), positions = flow.route.words[(await array(flow.route.array))[pe]];
    const ports = (mask: number) => [..."NESWR"].filter((_, i) => (mask >> i) & 1).join("") || "-";
    const words = positions.map(([rx, tx], i) => `${positions.length > 1 ? `position ${i}: ` : ""}from ${ports(rx)} to ${ports(tx)}`).join("; ");
    const reached = (flow.rx[pe] >> 4) & 1 ? `; its wavelets reach ${count(flow.reach(pe).receivers.size)} PEs` : "";
    const senders = (flow.tx[pe] >> 4) & 1 ? `; it receives from ${count(flow.sendersTo(pe).size)} PEs` : "";
    box.append(el("p", { class: "note" }, positions.length ? `Route of ${name}: ${words}${reached}${senders}.` : `${name} has no route here.`));
  }
  const links = await linksOf(run, pe);
  if (links.length) box.append(el("h3", {}, "Links by color: wavelets"), table(["color", "north", "east", "south", "west", "ramp"], links, { class: "figures", id: "links-by-color" }));
  const state = await statePanel(run, pe, found, range && range[1] - 1);
  box.append(await timeline(run, pe, range), ...(state ? [state] : []), el("h3", {}, "Counts"), table([], rows, { class: "figures" }));
  const map = found && memoryMap(found);
  if (map) box.append(map);
  const waits = run.waits?.who.filter((_, i) => run.waits!.pe[i] === pe) ?? [];
  if (waits.length) box.append(el("h3", {}, "Waits of this PE"), el("ul", {}, ...waits.map((words) => el("li", {}, words))));
  return box;
}

/** A row for each color whose wavelets left the router of a PE. */
async function linksOf(run: Run, pe: number): Promise<string[][]> {
  const rows: string[][] = [];
  for (const [color, ports] of run.links ?? []) {
    const counts = (await Promise.all(ports.map(array))).map((plane) => plane[pe]);
    if (counts.some(Boolean)) rows.push([colorName(run, color), ...counts.map((n) => (n ? count(n) : ""))]);
  }
  return rows;
}

interface Line { place: string; text: string; cycles: number; causes: number[]; rows: number[] }

/** File and line of `pe.csl:12:5 in main` or `tile:12, begin+1`. */
const lineOf = (place: string): string => /^(.+?:\d+)/.exec(place)?.[1] ?? place;
const short = (line: string): string => line.split("/").pop()!;

/** The lines of a class in the order of its code, with their cycles: a PE's mean.  columns: times, then causes. */
async function lines(one: ClassOfPEs, columns: number): Promise<Line[]> {
  const profile = one.profile ? await array(one.profile) : null, found: Line[] = [];
  const byLine = new Map<string, Line>();
  one.code.forEach((_, pc) => {
    const key = one.lines[pc] || one.places[pc].includes(":") ? lineOf(one.places[pc]) : `${pc}`;
    let line = byLine.get(key);
    if (!line) byLine.set(key, (line = { place: key, text: one.lines[pc], cycles: 0, causes: new Array(columns - 1).fill(0), rows: [] })), found.push(line);
    line.rows.push(pc);
    if (profile) for (let c = 1; c < columns; c++) { line.causes[c - 1] += profile[pc * columns + c]; line.cycles += profile[pc * columns + c]; }
  });
  return found;
}

const causesOf = (line: Line, names: string[]): string =>
  line.causes.map((cycles, i) => [names[i], cycles] as const).filter(([, cycles]) => cycles >= 0.5).sort((a, b) => b[1] - a[1]).slice(0, 4).map(([name, cycles]) => `${name} ${count(Math.round(cycles))}`).join(", ");

export async function codePanel(run: Run, one: ClassOfPEs, causes: string[]): Promise<HTMLElement> {
  const all = await lines(one, causes.length + 1), profile = one.profile ? await array(one.profile) : null;
  const source = all.some((line) => line.text), top = Math.max(...all.map((line) => line.cycles), 1e-9), columns = causes.length + 1;
  const box = el("div", { id: "code" }, el("h2", {}, `Code of class ${one.name}`));
  box.append(el("p", { class: "note" }, profile ? `Cycles of a PE: mean of ${count(one.pes)}, of ${count(run.cycles)}. A wait counts at the instruction that waits.` : "No cycles: a profile is kept of grids of at most 65,536 PEs."));
  const shade = (cycles: number) => `background:linear-gradient(to right,var(--heat) ${(100 * cycles) / top}%,transparent 0)`;
  const rows: HTMLElement[] = [];
  for (const line of all) {
    if (source) rows.push(el("tr", { class: "source" }, el("td", {}, short(line.place)), el("td", { class: "n", style: shade(line.cycles) }, profile ? count(Math.round(line.cycles)) : ""), el("td", {}, el("code", {}, line.text)), el("td", { class: "why" }, causesOf(line, causes))));
    for (const pc of line.rows) {
      let cycles = 0;
      if (profile) for (let c = 1; c < columns; c++) cycles += profile[pc * columns + c];
      const why = source ? "" : causesOf({ ...line, causes: profile ? Array.from(profile.subarray(pc * columns + 1, (pc + 1) * columns)) : [] }, causes);
      rows.push(el("tr", { class: "instruction" }, el("td", {}, source ? String(pc) : one.places[pc]), el("td", { class: "n", style: source ? "" : shade(cycles) }, profile && cycles ? count(Math.round(cycles)) : ""), el("td", {}, el("code", {}, one.code[pc])), el("td", { class: "why" }, why)));
    }
  }
  const head = el("tr", {}, ...["line", "cycles", source ? "source and instructions" : "instruction", "largest causes"].map((words) => el("th", {}, words)));
  const shown = el("table", { class: "code" }, el("thead", {}, head), el("tbody", {}, ...rows));
  if (source) box.append(el("label", {}, el("input", { type: "checkbox", checked: true, onchange: (event: Event) => shown.classList.toggle("plain", !(event.target as HTMLInputElement).checked) }), " instructions"));
  box.append(shown);
  return box;
}

export function deadlockPanel(run: Run, show: (pe: number) => void): HTMLElement {
  const graph = run.waits!;
  const item = (node: number) => el("li", {}, el("button", { class: "link", onclick: () => show(graph.pe[node]) }, graph.who[node]));
  const box = el("div", { id: "deadlock" }, el("h2", {}, "Deadlock"));
  const rest = graph.who.map((_, node) => node).filter((node) => !graph.cycle.includes(node));
  if (graph.cycle.length) box.append(el("p", {}, `A cycle of ${graph.cycle.length} waits; each waits for the next, the last for the first. It is bold on the map.`), el("ol", {}, ...graph.cycle.map(item)));
  else if (!graph.count) box.append(el("p", {}, "Nothing waits in the fabric: the host waits, and no PE has anything left to do."));
  else box.append(el("p", {}, "There is no cycle: nothing in the fabric can end these waits."));
  if (rest.length) box.append(el("h3", {}, graph.cycle.length ? "Others that wait" : "Waits"), el("ul", {}, ...rest.slice(0, 300).map(item)));
  const hidden = graph.count - graph.cycle.length - Math.min(rest.length, 300);
  if (hidden > 0) box.append(el("p", { class: "note" }, `and ${count(hidden)} more`));
  return box;
}

export function pathPanel(run: Run, show: (pe: number) => void): HTMLElement {
  const { sums, segments, count: all, pes } = run.path!, different = new Set(pes).size;
  const box = el("div", { id: "path" }, el("h2", {}, "Critical path"));
  box.append(el("p", {}, `The chain of work, wavelets and waits that sets the length of the run: ${count(all)} segments on ${count(different)} PE${different === 1 ? "" : "s"}, which the map shows from the dot to the ring. If an item took no time, the run would be shorter by at most its cycles.`));
  box.append(table(["kind of work or wait", "cycles", "share", "segments"], sums.map(([what, cycles, number]) => [what, count(cycles), percent(cycles / run.cycles), count(number)]), { class: "figures" }));
  box.append(el("h3", {}, all > segments.length ? `The ${count(segments.length)} longest segments, in order of cycles` : "Segments, in order of cycles"));
  const rows = segments.map(([pe, start, end, what]) => [what, el("button", { class: "link", onclick: () => show(pe) }, place(run, pe)), count(start), count(end)]);
  box.append(table(["segment", "PE", "from", "to"], rows, { class: "figures" }));
  return box;
}

const number = (words: string): number => Number(words.replace(/[^\d.-]/g, ""));

export async function comparePanel([a, b]: Run[], causes: string[]): Promise<HTMLElement> {
  const box = el("div", { id: "compare" }, el("h2", {}, "Difference"), el("p", {}, `A: ${a.title}, ${count(a.cycles)} cycles`, el("br"), `B: ${b.title}, ${count(b.cycles)} cycles`));
  const change = b.cycles - a.cycles;
  box.append(el("p", {}, `B takes ${signed(count(change), change)} cycles${a.cycles ? ` (${signed(percent(change / a.cycles), change)})` : ""}.`));
  const mean = (run: Run, key: string) => ((run.causes.find((cause) => cause.key === key)?.share ?? 0) * run.cycles);
  const rows = [...new Set([...a.causes, ...b.causes].map((cause) => cause.key))].map((key) => ({ key, words: (a.causes.find((cause) => cause.key === key) ?? b.causes.find((cause) => cause.key === key))!.words, a: mean(a, key), b: mean(b, key) }));
  rows.sort((one, two) => Math.abs(two.b - two.a) - Math.abs(one.b - one.a));
  box.append(el("h3", {}, "By cause: cycles of a PE, mean"), table(["cause", "A", "B", "B − A"], rows.filter((row) => row.a || row.b).map((row) => [row.words, count(Math.round(row.a)), count(Math.round(row.b)), signed(count(Math.round(row.b - row.a)), Math.round(row.b - row.a))]), { class: "figures", id: "by-cause" }));
  const host = ["wall time", "PE-cycles per second"]; // not of the run
  const figures = a.figures.filter(([name]) => !host.includes(name)).map(([name, value]) => [name, value, b.figures.find(([other]) => other === name)?.[1] ?? ""]).filter(([, one, two]) => one !== two && !Number.isNaN(number(one)));
  box.append(el("h3", {}, "Figures that differ"), table(["", "A", "B"], figures, { class: "figures" }));
  box.append(el("h3", {}, "By line: cycles of a PE, mean"), await byLine(a, b, causes));
  return box;
}

/** Lines are paired by class, function-free place and text, so that lines that have moved are still the same. */
async function byLine(a: Run, b: Run, causes: string[]): Promise<HTMLElement> {
  const sums = async (run: Run) => {
    const found = new Map<string, { place: string; text: string; cycles: number; causes: number[] }>();
    for (const one of run.classes ?? []) {
      if (!one.profile) continue;
      const many = new Map<string, number>();
      for (const line of await lines(one, causes.length + 1)) {
        const words = line.text || line.rows.map((pc) => one.code[pc]).join("; "), times = many.get(words) ?? 0;
        many.set(words, times + 1);
        found.set(`${one.name}\0${words}\0${times}`, { place: short(line.place).startsWith(`${one.name}:`) ? short(line.place) : `${one.name} ${short(line.place)}`, text: words, cycles: line.cycles, causes: line.causes });
      }
    }
    return found;
  };
  const [one, two] = [await sums(a), await sums(b)];
  if (!one.size || !two.size) return el("p", { class: "note" }, "One of the runs has no profile by line.");
  const rows = [...new Set([...one.keys(), ...two.keys()])].map((key) => ({ left: one.get(key), right: two.get(key) })).map(({ left, right }) => {
    const changes = causes.map((name, i) => [name, (right?.causes[i] ?? 0) - (left?.causes[i] ?? 0)] as const).filter(([, by]) => Math.abs(by) >= 0.5).sort((x, y) => Math.abs(y[1]) - Math.abs(x[1]));
    return { place: (left ?? right)!.place, text: (left ?? right)!.text, a: left?.cycles ?? 0, b: right?.cycles ?? 0, why: changes.slice(0, 3).map(([name, by]) => `${name} ${signed(count(Math.round(by)), by)}`).join(", ") };
  }).filter((row) => Math.abs(row.b - row.a) >= 0.5).sort((x, y) => Math.abs(y.b - y.a) - Math.abs(x.b - x.a));
  if (!rows.length) return el("p", { class: "note" }, "No line differs.");
  const cells: Child[][] = rows.slice(0, 60).map((row) => [row.place, el("code", {}, row.text), count(Math.round(row.a)), count(Math.round(row.b)), signed(count(Math.round(row.b - row.a)), Math.round(row.b - row.a)), el("span", { class: "why" }, row.why)]);
  return table(["line", "text", "A", "B", "B − A", "largest causes"], cells, { class: "code", id: "by-line" });
}
