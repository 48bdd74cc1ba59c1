// The map of the PEs: a heat map that can be zoomed and moved, with overlays.

import { fit, style } from "./dom";
import { Scale, ink, pixel, pixels } from "./scale";

/** What part of the grid is seen: PEs per pixel's inverse (pixels per PE) and the PE at the upper left corner. */
export class Viewport {
  sx = 1; sy = 1; x = 0; y = 0;
  private fitted = "";
  constructor(readonly width: number, readonly height: number) {}

  /** Shows the whole grid; square PEs, unless the grid is very long. */
  whole(wide: number, high: number): void {
    const pad = 6;
    const sx = Math.max(1, wide - 2 * pad) / this.width, sy = Math.max(1, high - 2 * pad) / this.height;
    const long = Math.max(this.width / this.height, this.height / this.width) > 6;
    this.sx = long ? sx : Math.min(sx, sy);
    this.sy = long ? Math.min(sy, 60) : this.sx;
    this.x = this.width / 2 - wide / 2 / this.sx;
    this.y = this.height / 2 - high / 2 / this.sy;
    this.fitted = this.key();
  }
  key = (): string => [this.sx, this.sy, this.x, this.y].join();
  get isWhole(): boolean { return this.fitted === "" || this.fitted === this.key(); }

  /** Zooms by a factor about a point in pixels. */
  zoom(factor: number, px: number, py: number): void {
    const bounded = Math.min(Math.max(factor, 0.05 / Math.max(this.sx, this.sy)), 240 / Math.max(this.sx, this.sy));
    const x = this.x + px / this.sx, y = this.y + py / this.sy;
    this.sx *= bounded; this.sy *= bounded;
    this.x = x - px / this.sx; this.y = y - py / this.sy;
  }
  move(px: number, py: number): void { this.x -= px / this.sx; this.y -= py / this.sy; }
  center(x: number, y: number, wide: number, high: number, least: number): void {
    if (this.sx < least) { const by = least / this.sx; this.sx *= by; this.sy *= by; }
    this.x = x + 0.5 - wide / 2 / this.sx; this.y = y + 0.5 - high / 2 / this.sy;
  }
}

export type Overlay = (pen: CanvasRenderingContext2D, view: Viewport, width: number, height: number) => void;
export interface Listeners { hover(pe: number | null, px: number, py: number, map: WaferMap): void; click(pe: number | null): void; moved(): void }

export class WaferMap {
  readonly canvas = document.createElement("canvas");
  values = new Float64Array(0);
  scale: Scale = { low: 0, high: 1, root: false, palette: "viridis", words: String };
  most = true;
  overlays: Overlay[] = [];
  selected: number | null = null;
  private queued = false;

  constructor(readonly view: Viewport, private on: Listeners, public label: string) {
    const { canvas } = this;
    canvas.className = "map";
    canvas.setAttribute("role", "img");
    new ResizeObserver(() => { if (view.isWhole && canvas.clientWidth) view.whole(canvas.clientWidth, canvas.clientHeight); on.moved(); }).observe(canvas);
    this.listen();
  }

  /** The PE under a point, or null. */
  at(px: number, py: number): number | null {
    const x = Math.floor(this.view.x + px / this.view.sx), y = Math.floor(this.view.y + py / this.view.sy);
    return x >= 0 && y >= 0 && x < this.view.width && y < this.view.height ? y * this.view.width + x : null;
  }

  /** PEs per side of a pixel, at least 1. */
  perPixel = (): [number, number] => {
    const ratio = window.devicePixelRatio || 1;
    return [Math.max(1, 1 / (this.view.sx * ratio)), Math.max(1, 1 / (this.view.sy * ratio))];
  };

  private listen(): void {
    const { canvas, view } = this;
    let from: { x: number; y: number } | null = null, moved = 0;
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      view.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), event.offsetX, event.offsetY);
      this.on.moved();
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => { from = { x: event.offsetX, y: event.offsetY }; moved = 0; canvas.setPointerCapture(event.pointerId); });
    canvas.addEventListener("pointermove", (event) => {
      if (from) {
        const [dx, dy] = [event.offsetX - from.x, event.offsetY - from.y];
        moved += Math.abs(dx) + Math.abs(dy);
        if (moved > 3) { view.move(dx, dy); from = { x: event.offsetX, y: event.offsetY }; this.on.moved(); }
      }
      this.on.hover(this.at(event.offsetX, event.offsetY), event.offsetX, event.offsetY, this);
    });
    canvas.addEventListener("pointerup", (event) => { if (from && moved <= 3) this.on.click(this.at(event.offsetX, event.offsetY)); from = null; });
    canvas.addEventListener("pointerleave", () => this.on.hover(null, 0, 0, this));
    canvas.addEventListener("dblclick", (event) => { view.zoom(2, event.offsetX, event.offsetY); this.on.moved(); });
  }

  draw(): void {
    if (this.queued) return;
    this.queued = true;
    requestAnimationFrame(() => { this.queued = false; this.paint(); });
  }

  /** The largest (or mean) number of the PEs x0 to x1 and y0 to y1, exclusive; of a difference the largest amount. */
  cell(x0: number, x1: number, y0: number, y1: number): number {
    const { values, most } = this, wide = this.view.width;
    let best = 0, sum = 0;
    for (let y = y0; y < y1; y++) {
      for (let i = y * wide + x0, end = y * wide + x1; i < end; i++) {
        const value = values[i];
        sum += value;
        if (value > best ? value > -best : -value > Math.abs(best)) best = value;
      }
    }
    return most ? best : sum / ((x1 - x0) * (y1 - y0));
  }

  private paint(): void {
    const { pen, width, height, ratio } = fit(this.canvas);
    if (!width || !this.values.length) return;
    const { view } = this, wide = this.canvas.width, high = this.canvas.height;
    const image = pen.createImageData(wide, high), out = new Uint32Array(image.data.buffer);
    const [x0, x1] = edges(wide, view.x, view.sx * ratio, view.width), [y0, y1] = edges(high, view.y, view.sy * ratio, view.height);
    const colors = pixels(this.scale.palette), coarse = view.sx * ratio < 1 || view.sy * ratio < 1;
    let before = -1, beforeEnd = -1;
    for (let py = 0; py < high; py++) {
      if (y0[py] < 0) continue;
      const row = py * wide;
      if (y0[py] === before && y1[py] === beforeEnd) { out.copyWithin(row, row - wide, row); continue; }
      before = y0[py]; beforeEnd = y1[py];
      for (let px = 0; px < wide; px++) {
        if (x0[px] < 0) continue;
        const value = coarse ? this.cell(x0[px], x1[px], y0[py], y1[py]) : this.values[y0[py] * view.width + x0[px]];
        out[row + px] = pixel(this.scale, colors, value);
      }
    }
    pen.putImageData(image, 0, 0);
    this.details(pen, width, height, colors);
    for (const overlay of this.overlays) overlay(pen, view, width, height);
    if (this.selected !== null) {
      const x = (this.selected % view.width - view.x) * view.sx, y = (Math.floor(this.selected / view.width) - view.y) * view.sy;
      pen.lineWidth = 4; pen.strokeStyle = "#000"; pen.strokeRect(x - 1, y - 1, Math.max(view.sx, 3) + 2, Math.max(view.sy, 3) + 2);
      pen.lineWidth = 2; pen.strokeStyle = "#fff"; pen.strokeRect(x - 1, y - 1, Math.max(view.sx, 3) + 2, Math.max(view.sy, 3) + 2);
    }
    if (this.label) {
      pen.font = "600 13px system-ui, sans-serif";
      const long = pen.measureText(this.label).width;
      pen.fillStyle = style("--paper"); pen.fillRect(6, 6, long + 12, 22);
      pen.fillStyle = style("--ink"); pen.fillText(this.label, 12, 21);
    }
  }

  /** Gaps between PEs and numbers in them, where there is space. */
  private details(pen: CanvasRenderingContext2D, width: number, height: number, colors: Uint32Array): void {
    const { view } = this;
    if (Math.min(view.sx, view.sy) < 7) return;
    const left = Math.max(0, Math.floor(view.x)), right = Math.min(view.width, Math.ceil(view.x + width / view.sx));
    const top = Math.max(0, Math.floor(view.y)), bottom = Math.min(view.height, Math.ceil(view.y + height / view.sy));
    pen.fillStyle = style("--back");
    for (let x = left; x <= right; x++) pen.fillRect((x - view.x) * view.sx - 0.5, (top - view.y) * view.sy, 1, (bottom - top) * view.sy);
    for (let y = top; y <= bottom; y++) pen.fillRect((left - view.x) * view.sx, (y - view.y) * view.sy - 0.5, (right - left) * view.sx, 1);
    if (view.sx < 52 || view.sy < 20) return;
    pen.font = "12px system-ui, sans-serif"; pen.textAlign = "center"; pen.textBaseline = "middle";
    for (let y = top; y < bottom; y++) {
      for (let x = left; x < right; x++) {
        const value = this.values[y * view.width + x];
        pen.fillStyle = ink(pixel(this.scale, colors, value));
        const below = this.overlays.length ? 0.8 : 0.5; // routes go through the middle
        pen.fillText(this.scale.words(value), (x + 0.5 - view.x) * view.sx, (y + below - view.y) * view.sy, view.sx - 4);
      }
    }
    pen.textAlign = "start"; pen.textBaseline = "alphabetic";
  }
}

/** The first and last (exclusive) PE of each pixel along an axis; -1 outside the grid. */
function edges(pixels: number, start: number, scale: number, size: number): [Int32Array, Int32Array] {
  const first = new Int32Array(pixels).fill(-1), last = new Int32Array(pixels);
  for (let p = 0; p < pixels; p++) {
    const at = Math.floor(start + p / scale + 1e-9);
    if (at < 0 && Math.floor(start + (p + 1) / scale) <= 0) continue;
    if (at >= size) break;
    first[p] = Math.max(at, 0);
    last[p] = Math.min(size, Math.max(first[p] + 1, Math.floor(start + (p + 1) / scale + 1e-9)));
  }
  return [first, last];
}
