// Scales of the map: numbers to colors.  The colors are viridis, cividis and PuOr, which do not depend on red and green.

const STOPS = {
  viridis: "440154,48186a,472d7b,424086,3b528b,33638d,2c728e,26828e,21918c,1fa088,28ae80,3fbc73,5ec962,84d44b,addc30,d8e219,fde725",
  cividis: "00224e,002e6a,1a386f,32436d,434e6c,535a6d,61656f,6f7073,7d7c78,8c8878,9b9476,aba072,bcae6c,cdbb63,dec958,f0d846,fee838",
  puor: "7f3b08,a04d07,be630a,db7d12,ef9e3c,fdbd6e,fed7a2,fbe9cf,f6f6f7,e3e4ef,cecde4,b6b0d4,988dbe,7967a6,5d3790,44176f,2d004b",
};
export type Palette = keyof typeof STOPS;

const SIZE = 1024;
const made = new Map<Palette, Uint32Array>();

/** The colors of a palette as pixels (ABGR), from the lowest number to the highest. */
export function pixels(palette: Palette): Uint32Array {
  let found = made.get(palette);
  if (!found) {
    const stops = STOPS[palette].split(",").map((hex) => [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16)));
    found = new Uint32Array(SIZE);
    for (let i = 0; i < SIZE; i++) {
      const at = (i / (SIZE - 1)) * (stops.length - 1), low = Math.min(Math.floor(at), stops.length - 2), part = at - low;
      const [r, g, b] = [0, 1, 2].map((c) => Math.round(stops[low][c] * (1 - part) + stops[low + 1][c] * part));
      found[i] = (255 << 24) | (b << 16) | (g << 8) | r;
    }
    made.set(palette, found);
  }
  return found;
}

/** A scale from `low` to `high`; root: the color goes with the square root, so that a few percent differ from none. */
export interface Scale { low: number; high: number; root: boolean; palette: Palette; words: (value: number) => string }

export function position(scale: Scale, value: number): number {
  const share = (value - scale.low) / (scale.high - scale.low || 1);
  const inside = share < 0 ? 0 : share > 1 ? 1 : share;
  return scale.root ? Math.sqrt(inside) : inside;
}

export const pixel = (scale: Scale, colors: Uint32Array, value: number): number => colors[Math.round(position(scale, value) * (SIZE - 1))];

export function ticks(scale: Scale): number[] {
  if (scale.root) return [0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1].map((share) => scale.low + share * (scale.high - scale.low));
  return [0, 0.25, 0.5, 0.75, 1].map((share) => scale.low + share * (scale.high - scale.low));
}

/** A hex color that is legible on a pixel. */
export function ink(pixel: number): string {
  const [r, g, b] = [pixel & 255, (pixel >> 8) & 255, (pixel >> 16) & 255];
  return 0.299 * r + 0.587 * g + 0.114 * b < 108 ? "#ffffff" : "#000000";
}
