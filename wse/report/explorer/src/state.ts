// What a PE holds: its memory map, and its queues, variables, registers and DSRs at a cycle.

import { ClassOfPEs, Numbers, Run, States, array, colorName } from "./data";
import { Child, count, el, table } from "./dom";

const SRAM = 49152, REGISTERS = 32, DSRS = 48, FIELDS = 7, MOST = 32; // MOST: elements of an array that are shown
const KINDS = ["none", "mem1d", "mem4d", "circular", "FIFO", "fabin", "fabout"], INFINITE = 0x7fff;
const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, "0");

/** The variables and the code of a class: a bar of the memory, and a table. */
export function memoryMap(one: ClassOfPEs): HTMLElement | null {
  if (!one.memory?.length) return null;
  const used = one.memory.reduce((sum, [, , bytes]) => sum + bytes, 0);
  const bar = el("div", { class: "memory", role: "img", "aria-label": `${count(used)} of ${count(SRAM)} bytes are in use` }, ...one.memory.map(([name, address, bytes, , code]) => el("i", { class: code ? "code-part" : "", style: `left:${(100 * address) / SRAM}%;width:${(100 * bytes) / SRAM}%`, title: `${name}: ${count(bytes)} bytes at ${count(address)}` })));
  const rows = one.memory.map(([name, address, bytes, type]) => [name, type, count(address), count(bytes)]);
  return el("details", { id: "memory-map" }, el("summary", {}, `Memory: ${count(used)} of ${count(SRAM)} bytes in use (${((100 * used) / SRAM).toFixed(1)} %)`), bar, table(["name", "type", "address", "bytes"], rows, { class: "figures" }));
}

/** Memory of a PE at a state, as words of 16 bits, and which of them differ from the state before. */
async function memoryAt(states: States, at: number, pe: number): Promise<[Uint16Array, Set<number>]> {
  const words = SRAM / 2, memory = Uint16Array.from((await array(states.memory)).subarray(pe * words, (pe + 1) * words)), changed = new Set<number>();
  const { state, pe: whose, word, value } = states.changes, [s, p, w, v] = await Promise.all([state, whose, word, value].map(array));
  for (let i = 0; i < s.length && s[i] <= at; i++) {
    if (p[i] !== pe) continue;
    memory[w[i]] = v[i];
    if (s[i] === at) changed.add(w[i]);
  }
  return [memory, changed];
}

/** A 16-bit float as a number: IEEE, bfloat16, or cb16 with 6 bits of exponent and bias 42. */
export function half(bits: number, format: string): number {
  const [exponents, bias] = format === "bf16" ? [8, 127] : format === "cb16" ? [6, 42] : [5, 15];
  const fraction = 15 - exponents, sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> fraction) & ((1 << exponents) - 1), rest = bits & ((1 << fraction) - 1);
  if (exponent === (1 << exponents) - 1) return rest ? NaN : sign * Infinity;
  return exponent ? sign * 2 ** (exponent - bias) * (1 + rest / (1 << fraction)) : sign * 2 ** (1 - bias) * (rest / (1 << fraction));
}

/** The elements of a variable as text; bytes in hexadecimal digits if its type is not that of numbers. */
function elements(view: DataView, address: number, bytes: number, type: string, fp16: string): string[] {
  const readers: Record<string, [number, (at: number) => string]> = {
    f32: [4, (at) => String(Number(view.getFloat32(at, true).toPrecision(7)))], u32: [4, (at) => String(view.getUint32(at, true))], i32: [4, (at) => String(view.getInt32(at, true))],
    u16: [2, (at) => String(view.getUint16(at, true))], i16: [2, (at) => String(view.getInt16(at, true))], u8: [1, (at) => String(view.getUint8(at))], i8: [1, (at) => String(view.getInt8(at))], bool: [1, (at) => (view.getUint8(at) ? "true" : "false")],
  };
  for (const name of ["f16", "bf16", "cb16"]) readers[name] = [2, (at) => String(Number(half(view.getUint16(at, true), name === "f16" ? fp16 : name).toPrecision(4)))];
  const [size, read] = readers[type.replace(/^(\[[\d,\s]*\])*\s*/, "")] ?? [1, (at: number) => hex(view.getUint8(at), 2)];
  return Array.from({ length: Math.floor(bytes / size) }, (_, i) => read(address + i * size));
}

const flash = (words: Child, changed: boolean): Child => (changed ? el("mark", {}, words) : words);

/** The state of a PE over time.  until: the cycle to begin with; null: the last one. */
export async function statePanel(run: Run, pe: number, one: ClassOfPEs | null, until: number | null): Promise<HTMLElement | null> {
  const { states } = run;
  if (!states) return run.trace && one ? el("p", { class: "note" }, "Queues, memory and registers over time are recorded of at most 16 traced PEs: choose some with --trace-pes.") : null;
  const mine = states.pes.indexOf(pe);
  if (mine < 0) return el("p", { class: "note" }, "Queues, memory and registers over time were recorded of other PEs (--trace-pes).");
  const last = states.cycles.length - 1, start = until === null ? last : Math.max(0, states.cycles.filter((cycle) => cycle <= until).length - 1);
  const slider = el("input", { type: "range", id: "state-at", min: 0, max: last, step: 1, value: start, "aria-label": "cycle of the state" });
  const says = el("output", { class: "says", id: "state-cycle" }), shown = el("div", { id: "state" });
  const step = (by: number) => { slider.value = String(Number(slider.value) + by); void show(); };
  let turn = 0;
  async function show(): Promise<void> {
    const mineTurn = ++turn, at = Number(slider.value), made = await stateAt(run, states!, at, mine, one);
    if (turn !== mineTurn) return;
    says.textContent = `cycle ${count(states!.cycles[at])}`;
    shown.replaceChildren(...made);
  }
  slider.addEventListener("input", () => void show());
  await show();
  const back = el("button", { "aria-label": "previous state", id: "state-back", onclick: () => step(-1) }, "‹"), forth = el("button", { "aria-label": "next state", id: "state-next", onclick: () => step(1) }, "›");
  return el("section", { id: "states" }, el("h3", {}, "State at a cycle"), el("div", { class: "row" }, back, slider, forth, says), el("p", { class: "note" }, "What differs from the state before is marked."), shown);
}

async function stateAt(run: Run, states: States, at: number, pe: number, one: ClassOfPEs | null): Promise<HTMLElement[]> {
  const rows = (all: Numbers, width: number, state: number): Numbers => { const first = (state * states.pes.length + pe) * width; return all.subarray(first, first + width) as Numbers; };
  const before = Math.max(at - 1, 0), [main, registers, dsrs] = await Promise.all([states.main, states.registers, states.dsrs].map(array));
  const [memory, changed] = await memoryAt(states, at, pe), [state, task, pc] = rows(main, 3, at);
  const names = Object.entries(one?.tasks ?? {}).find(([, id]) => id === task)?.[0] ?? `task ${task}`, here = one?.places[state > 1 ? pc - 1 : pc] ?? `instruction ${pc}`;
  const found = [el("p", {}, state === 0 ? "No task runs." : `${names} ${state > 1 ? "executes a vector operation" : "is"} at ${here}.`)];
  const queues = states.queues[at][pe], earlier = states.queues[before][pe];
  if (queues.length) {
    const line = ([way, number, color, capacity, words]: States["queues"][0][0][0]): Child[] => {
      const was = earlier.find((other) => other[0] === way && other[1] === number);
      const text = words.map((word) => `${hex(word % 2 ** 32, 8)}${word >= 2 ** 32 ? " (control)" : ""}`).join(" ");
      return [`${way ? "output" : "input"} ${number}`, color < 0 ? "" : colorName(run, color), `${words.length} of ${capacity}`, flash(el("code", {}, text), String(was?.[4]) !== String(words))];
    };
    found.push(el("h3", {}, "Queues"), table(["queue", "color", "wavelets", ""], queues.map(line), { class: "figures", id: "state-queues" }));
  }
  const view = new DataView(memory.buffer);
  const variables = (one?.memory ?? []).filter(([, , , , code]) => !code).map(([name, address, bytes, type]) => {
    const values = elements(view, address, bytes, type, run.fp16 ?? "f16"), size = bytes / Math.max(values.length, 1), cells: Child[] = [];
    values.slice(0, MOST).forEach((value, i) => {
      let differs = false;
      for (let byte = address + i * size; byte < address + (i + 1) * size; byte++) differs ||= changed.has(byte >> 1);
      cells.push(flash(value, differs), " ");
    });
    let later = 0;
    for (let word = (address + MOST * size) >> 1; values.length > MOST && word < (address + bytes) >> 1; word++) later += Number(changed.has(word));
    if (values.length > MOST) cells.push(`and ${count(values.length - MOST)} more${later ? `, ${count(later)} words of which differ` : ""}`);
    return [name, el("code", {}, ...cells)] as Child[];
  });
  if (variables.length) found.push(el("h3", {}, "Variables"), table([], variables, { class: "code", id: "state-variables" }));
  const [now, was] = [rows(registers, REGISTERS, at), rows(registers, REGISTERS, before)];
  const lines = Array.from({ length: REGISTERS / 4 }, (_, row) => Array.from({ length: 4 }, (_, i) => i + 4 * row).map((n) => el("code", {}, `r${n} `, flash(hex(now[n], 8), now[n] !== was[n]))));
  found.push(el("h3", {}, "Registers"), table([], lines, { class: "code", id: "state-registers" }));
  const [fields, old] = [rows(dsrs, DSRS * FIELDS, at), rows(dsrs, DSRS * FIELDS, before)], set: Child[][] = [];
  for (let n = 0; n < DSRS; n++) {
    const [kind, , queue, color, base, length, stride] = fields.subarray(n * FIELDS, (n + 1) * FIELDS);
    if (!kind) continue;
    const owner = one?.memory?.find(([, address, bytes]) => base >= address && base < address + bytes);
    const where = kind > 4 ? `queue ${queue}, ${colorName(run, color)}` : `${owner ? `${owner[0]}${base > owner[1] ? ` + ${base - owner[1]} bytes` : ""}` : `address ${base}`}, stride ${stride}`;
    const differs = fields.subarray(n * FIELDS, (n + 1) * FIELDS).some((value, i) => value !== old[n * FIELDS + i]);
    set.push([`${"dab"[Math.floor(n / 16)]}${n % 16}`, KINDS[kind] ?? String(kind), flash(`${length === INFINITE ? "without an end" : `${count(length)} elements`}, ${where}`, differs)]);
  }
  if (set.length) found.push(el("h3", {}, "DSRs"), table([], set, { class: "code", id: "state-dsrs" }));
  return found;
}
