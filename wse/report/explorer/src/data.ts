// The data of the page: the document of wse/report/page.py, and its arrays, unpacked when they are first asked for.

export interface Where { at: number; type: string; size: number }
export interface Plane { key: string; group: string; words: string; array?: Where; step?: number }
export interface Cause { key: string; words: string; share: number; color: string }
export interface Series { bin: number; lengths: number[]; rows: number[][]; activity?: Where; step?: number }
export interface Trace {
  names: string[]; kinds: string[]; pes: Where; counts: Where; left: number; dropped: number; until: number;
  lane: Where; kind: Where; name: Where; start: Where; length: Where;
}
export interface ClassOfPEs {
  name: string; pes: number; tasks: Record<string, number>; code: string[]; places: string[]; lines: string[]; profile?: Where;
  /** name, address, bytes, type, whether it is the code */
  memory?: [string, number, number, string, boolean][];
}
export interface Route { color: number; words: number[][][]; array: Where }
export interface Waits { who: string[]; pe: number[]; edges: number[][]; cycle: number[]; count: number }
export interface Path { sums: [string, number, number][]; segments: [number, number, number, string][]; count: number; pes: number[] }
/** States of a few PEs: wse/fabric/states.py. */
export interface States {
  cycles: number[]; pes: number[]; queues: [number, number, number, number, number[]][][][]; main: Where; registers: Where; dsrs: Where; memory: Where;
  changes: Record<"state" | "pe" | "word" | "value", Where>;
}
export interface Run {
  title: string; name: string; duration: string; headline: string; width: number; height: number; cycles: number; ended: string;
  figures: string[][]; causes: Cause[]; meta: unknown; busy: string[]; planes: Plane[];
  colors: [number, number[][]][]; ports: string[]; opcodes: [string, number][];
  series?: Series; trace?: Trace; classes?: ClassOfPEs[]; class_of?: Where; routes?: Route[]; names?: [number, string][]; waits?: Waits; path?: Path;
  links?: [number, Where[]][]; states?: States; fp16?: string;
}
export interface Document { runs: Run[]; causes: string[] }
export type Numbers = Uint8Array | Uint16Array | Uint32Array | Float64Array;

export const NO_CLASS = 0xffff;

export const read = (): Document => JSON.parse(document.getElementById("data")!.textContent!);

const unpacked = new Map<number, Promise<Numbers>>();

/** An array of the page. */
export function array(where: Where): Promise<Numbers> {
  let found = unpacked.get(where.at);
  if (!found) unpacked.set(where.at, (found = unpack(where)));
  return found;
}

async function unpack({ at, type, size }: Where): Promise<Numbers> {
  const text = document.getElementById(`array${at}`)!.textContent!;
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const width = Number(type.slice(1));
  const joined = new Uint8Array(bytes.length);
  for (let byte = 0; byte < width; byte++) {
    for (let i = 0, from = byte * size; i < size; i++) joined[i * width + byte] = bytes[from + i];
  }
  const kinds = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, f8: Float64Array };
  return new kinds[type as keyof typeof kinds](joined.buffer);
}

/** A plane of a run, one number for each PE; zeros if it has no array. */
export async function plane(run: Run, key: string): Promise<Float64Array> {
  const entry = run.planes.find((found) => found.key === key);
  const values = new Float64Array(run.width * run.height);
  if (entry?.array) values.set(await array(entry.array));
  const step = entry?.step ?? 1;
  if (step !== 1) for (let i = 0; i < values.length; i++) values[i] *= step;
  return values;
}

/** The busy cycles of each PE. */
export async function busy(run: Run): Promise<Float64Array> {
  const sum = new Float64Array(run.width * run.height);
  for (const key of run.busy) {
    const values = await plane(run, key);
    for (let i = 0; i < sum.length; i++) sum[i] += values[i];
  }
  return sum;
}

export const colorName = (run: Run, color: number): string => {
  const name = run.names?.find(([number]) => number === color)?.[1];
  return name && name !== `color${color}` ? `${name} (color ${color})` : `color ${color}`;
};

export const place = (run: Run, pe: number): string => `(${pe % run.width}, ${Math.floor(pe / run.width)})`;
