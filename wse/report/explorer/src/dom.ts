// Elements and numbers as text.

export type Child = Node | string | null | undefined;

/** An element with attributes, listeners (on...) and children. */
export function el<K extends keyof HTMLElementTagNameMap>(
  name: K, given: Record<string, unknown> = {}, ...children: Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(given)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value as EventListener);
    else if (value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : String(value));
  }
  made.append(...children.filter((child): child is Node | string => child != null));
  return made;
}

export function table(head: string[], rows: Child[][], more: Record<string, unknown> = {}): HTMLTableElement {
  const line = (cells: Child[], name: "td" | "th") => el("tr", {}, ...cells.map((cell) => el(name, {}, cell)));
  return el("table", more, head.length ? el("thead", {}, line(head, "th")) : null, el("tbody", {}, ...rows.map((row) => line(row, "td"))));
}

export const count = (value: number): string =>
  Number.isInteger(value) ? value.toLocaleString("en-US") : Math.abs(value) >= 100 ? Math.round(value).toLocaleString("en-US") : String(Number(value.toPrecision(3)));

export const percent = (share: number): string => `${(100 * share).toFixed(Math.abs(share) < 0.001 && share ? 3 : 1)} %`;

export const signed = (words: string, value: number): string => (value > 0 ? `+${words}` : words);

/** Sets a canvas to the size of its element in pixels of the screen; returns its context and size in CSS pixels. */
export function fit(canvas: HTMLCanvasElement): { pen: CanvasRenderingContext2D; width: number; height: number; ratio: number } {
  const ratio = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  const [wide, high] = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
  if (canvas.width !== wide || canvas.height !== high) [canvas.width, canvas.height] = [wide, high];
  const pen = canvas.getContext("2d")!;
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  return { pen, width, height, ratio };
}

export const style = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
