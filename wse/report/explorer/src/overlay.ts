// Overlays of the map: the routes of a color from senders to receivers, and the graph of waits of a deadlock.

import { Numbers, Route, Run, Waits } from "./data";
import { style } from "./dom";
import { Overlay, Viewport } from "./map";

const RAMP = 4, STEP = [[0, -1], [1, 0], [0, 1], [-1, 0]];

/** What the routers of a color do in any of their switch positions: masks of the ports. */
export class Flow {
  readonly rx: Uint8Array;
  readonly tx: Uint8Array;
  senders = 0; receivers = 0;
  private moves: [number, number][][];

  constructor(readonly run: Run, readonly route: Route, private where: Numbers) {
    this.moves = route.words.map((positions) => positions.map(([rx, tx]) => [rx, tx]));
    const masks = this.moves.map((positions) => positions.reduce(([a, b], [rx, tx]) => [a | rx, b | tx], [0, 0]));
    this.rx = Uint8Array.from(where, (word) => masks[word][0]);
    this.tx = Uint8Array.from(where, (word) => masks[word][1]);
    for (let pe = 0; pe < this.rx.length; pe++) {
      this.senders += (this.rx[pe] >> RAMP) & 1;
      this.receivers += (this.tx[pe] >> RAMP) & 1;
    }
  }

  /** What a wavelet that PE `from` sends can reach: (router, port by which it enters), and the PEs that receive it. */
  reach(from: number): { steps: [number, number][]; receivers: Set<number> } {
    const { width, height } = this.run, seen = new Set<number>(), steps: [number, number][] = [], receivers = new Set<number>();
    const queue = [from * 8 + RAMP];
    seen.add(queue[0]);
    for (let at = 0; at < queue.length; at++) {
      const pe = queue[at] >> 3, port = queue[at] & 7;
      for (const [rx, tx] of this.moves[this.where[pe]]) {
        if (!((rx >> port) & 1)) continue;
        if ((tx >> RAMP) & 1) receivers.add(pe);
        for (let out = 0; out < 4; out++) {
          const x = (pe % width) + STEP[out][0], y = Math.floor(pe / width) + STEP[out][1];
          if (!((tx >> out) & 1) || x < 0 || y < 0 || x >= width || y >= height) continue;
          const next = (y * width + x) * 8 + (out ^ 2);
          if (!seen.has(next)) { seen.add(next); queue.push(next); steps.push([pe, out]); }
        }
      }
    }
    return { steps, receivers };
  }

  /** The PEs from which a wavelet can reach this one's ramp. */
  sendersTo(to: number): Set<number> {
    const { width, height } = this.run, senders = new Set<number>(), seen = new Set<number>([to * 8 + RAMP]), queue = [to * 8 + RAMP];
    for (let at = 0; at < queue.length; at++) {
      const pe = queue[at] >> 3, out = queue[at] & 7;
      for (const [rx, tx] of this.moves[this.where[pe]]) {
        if (!((tx >> out) & 1)) continue;
        if ((rx >> RAMP) & 1) senders.add(pe);
        for (let port = 0; port < 4; port++) {
          const x = (pe % width) + STEP[port][0], y = Math.floor(pe / width) + STEP[port][1];
          if (!((rx >> port) & 1) || x < 0 || y < 0 || x >= width || y >= height) continue;
          const next = (y * width + x) * 8 + (port ^ 2);
          if (!seen.has(next)) { seen.add(next); queue.push(next); }
        }
      }
    }
    return senders;
  }
}

function middle(view: Viewport, pe: number): [number, number] {
  return [((pe % view.width) + 0.5 - view.x) * view.sx, (Math.floor(pe / view.width) + 0.5 - view.y) * view.sy];
}

/** Draws the routes of a color; chosen: those of a PE's wavelets are drawn bold. */
export function routes(flow: Flow, chosen: number | null): Overlay {
  const { rx, tx, run } = flow, own = chosen !== null && (rx[chosen] >> RAMP) & 1 ? flow.reach(chosen) : null;
  return (pen, view, width, height) => {
    const left = Math.max(0, Math.floor(view.x)), right = Math.min(run.width, Math.ceil(view.x + width / view.sx));
    const top = Math.max(0, Math.floor(view.y)), bottom = Math.min(run.height, Math.ceil(view.y + height / view.sy));
    const small = Math.min(view.sx, view.sy), each = Math.max(1, Math.floor(2 / small));
    pen.strokeStyle = style("--route"); pen.fillStyle = style("--route"); pen.lineWidth = Math.min(3, Math.max(1, small / 14));
    pen.globalAlpha = own ? 0.35 : 0.9;
    if (small < 4) { // lines would cover the map: a dot for each router of the color
      for (let y = top; y < bottom; y += each) for (let x = left; x < right; x += each) {
        if (!tx[y * run.width + x] && !rx[y * run.width + x]) continue;
        pen.globalAlpha = (own ? 0.3 : 1) * ((rx[y * run.width + x] >> RAMP) & 1 ? 0.6 : 0.16);
        pen.fillRect((x - view.x) * view.sx, (y - view.y) * view.sy, Math.max(1, view.sx * each), Math.max(1, view.sy * each));
      }
    } else {
      pen.beginPath();
      for (let y = top; y < bottom; y++) for (let x = left; x < right; x++) {
        const pe = y * run.width + x;
        for (let port = 0; port < 4; port++) if ((tx[pe] >> port) & 1) arrow(pen, view, pe, port, small);
      }
      pen.stroke();
      for (let y = top; y < bottom; y++) for (let x = left; x < right; x++) ends(pen, view, rx[y * run.width + x], tx[y * run.width + x], y * run.width + x, small);
    }
    pen.globalAlpha = 1;
    if (own) {
      pen.strokeStyle = style("--chosen"); pen.fillStyle = style("--chosen"); pen.lineWidth = Math.max(2, small / 9);
      pen.beginPath();
      for (const [pe, port] of own.steps) arrow(pen, view, pe, port, small);
      pen.stroke();
      for (const pe of own.receivers) ends(pen, view, 0, 1 << RAMP, pe, Math.max(small, 6));
      ends(pen, view, 1 << RAMP, 0, chosen!, Math.max(small, 6));
    }
  };
}

function arrow(pen: CanvasRenderingContext2D, view: Viewport, pe: number, port: number, small: number): void {
  const [x, y] = middle(view, pe), [dx, dy] = STEP[port], side = small * 0.1, head = Math.min(7, small * 0.16);
  const [ox, oy] = [-dy * side, dx * side]; // beside the opposite direction
  const [tx, ty] = [x + dx * view.sx * 0.86 + ox, y + dy * view.sy * 0.86 + oy];
  pen.moveTo(x + ox, y + oy);
  pen.lineTo(tx, ty);
  if (small < 9) return;
  pen.moveTo(tx - dx * head - dy * head * 0.6, ty - dy * head + dx * head * 0.6);
  pen.lineTo(tx, ty);
  pen.lineTo(tx - dx * head + dy * head * 0.6, ty - dy * head - dx * head * 0.6);
}

/** A filled circle for a sender, a ring for a receiver. */
function ends(pen: CanvasRenderingContext2D, view: Viewport, rx: number, tx: number, pe: number, small: number): void {
  const [x, y] = middle(view, pe), sends = (rx >> RAMP) & 1, receives = (tx >> RAMP) & 1;
  if (receives) { pen.beginPath(); pen.arc(x, y, Math.min(20, Math.max(2, small * 0.24)), 0, 7); pen.stroke(); }
  if (sends) { pen.beginPath(); pen.arc(x, y, Math.min(6, Math.max(2, small * 0.14)), 0, 7); pen.fill(); }
}

/** Draws the way of the critical path over PEs, from a dot where it begins to a ring where it ends. */
export function path(pes: number[]): Overlay {
  const edges = new Map(pes.slice(1).map((pe, i) => [`${pes[i]} ${pe}`, [pes[i], pe]]));
  return (pen, view) => {
    const small = Math.min(view.sx, view.sy), head = Math.min(12, Math.max(5, small * 0.2));
    pen.strokeStyle = pen.fillStyle = style("--chosen"); pen.lineWidth = Math.min(4, Math.max(2, small / 12));
    for (const [from, to] of edges.values()) {
      const [x, y] = middle(view, from), [tx, ty] = middle(view, to), turn = Math.atan2(ty - y, tx - x);
      pen.beginPath(); pen.moveTo(x, y); pen.lineTo(tx, ty); pen.stroke();
      pen.beginPath(); pen.moveTo(tx, ty);
      pen.lineTo(tx - head * Math.cos(turn - 0.4), ty - head * Math.sin(turn - 0.4));
      pen.lineTo(tx - head * Math.cos(turn + 0.4), ty - head * Math.sin(turn + 0.4));
      pen.fill();
    }
    if (!pes.length) return;
    ends(pen, view, 1 << RAMP, 0, pes[0], Math.max(small, 20));
    ends(pen, view, 0, 1 << RAMP, pes[pes.length - 1], Math.max(small, 20));
  };
}

/** Draws who waits for whom; the circular wait is bold.  Returns nothing of waits within a PE but a ring. */
export function waits(graph: Waits): Overlay {
  const next = new Map(graph.cycle.map((node, i) => [node, graph.cycle[(i + 1) % graph.cycle.length]]));
  return (pen, view) => {
    const draw = (edges: number[][], color: string, thick: number) => {
      pen.strokeStyle = pen.fillStyle = color; pen.lineWidth = thick;
      for (const [a, b] of edges) {
        const [from, to] = [graph.pe[a], graph.pe[b]], [x, y] = middle(view, from), [tx, ty] = middle(view, to);
        const radius = Math.min(24, Math.max(4, Math.min(view.sx, view.sy) * 0.3));
        pen.beginPath();
        if (from === to) { pen.arc(x, y, radius, 0, 7); pen.stroke(); continue; }
        const long = Math.hypot(tx - x, ty - y), [ux, uy] = [(tx - x) / long, (ty - y) / long], bend = Math.min(24, long * 0.18);
        const [cx, cy] = [(x + tx) / 2 - uy * bend, (y + ty) / 2 + ux * bend], head = Math.min(14, Math.max(6, radius * 0.5));
        const [ex, ey] = [tx - ux * radius * 0.5, ty - uy * radius * 0.5];
        pen.moveTo(x, y); pen.quadraticCurveTo(cx, cy, ex, ey); pen.stroke();
        const turn = Math.atan2(ey - cy, ex - cx);
        pen.beginPath(); pen.moveTo(ex, ey);
        pen.lineTo(ex - head * Math.cos(turn - 0.45), ey - head * Math.sin(turn - 0.45));
        pen.lineTo(ex - head * Math.cos(turn + 0.45), ey - head * Math.sin(turn + 0.45));
        pen.fill();
      }
    };
    pen.fillStyle = style("--wait");
    for (const pe of new Set(graph.pe)) { const [x, y] = middle(view, pe); pen.beginPath(); pen.arc(x, y, Math.min(7, Math.max(2, Math.min(view.sx, view.sy) * 0.09)), 0, 7); pen.fill(); }
    draw(graph.edges.filter(([a, b]) => next.get(a) !== b), style("--wait"), 1.2);
    draw([...next], style("--danger"), 3);
  };
}
