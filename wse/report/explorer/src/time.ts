// The run over time: a chart of its series, in which a range can be brushed, a slider and a player.

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { Run } from "./data";
import { count, el, percent, style } from "./dom";

/** Bins of the series: from the first to the last, inclusive; null: the whole run. */
export type Range = [number, number] | null;

const HEIGHT = 150;

export class TimeBar {
  readonly element = el("section", { class: "time", "aria-label": "the run over time" });
  range: Range = null;
  private slider: HTMLInputElement;
  private button: HTMLButtonElement;
  private says = el("output", { class: "says" });
  private chart: uPlot | null = null;
  private row: HTMLElement;
  private place = el("div", { class: "chart" });
  private timer = 0;
  private brushed = false;

  constructor(private run: Run, private changed: (range: Range) => void) {
    this.slider = el("input", { type: "range", id: "slider", min: -1, max: 0, step: 1, value: -1, "aria-label": "time: the bin of the series; leftmost: the whole run", oninput: () => this.to(Number(this.slider.value)) });
    this.button = el("button", { id: "play", title: "play (space)", "aria-label": "play", onclick: () => this.play() }, "▶");
    const whole = el("button", { id: "whole-run", title: "the whole run", onclick: () => this.set(null) }, "whole run");
    this.row = el("div", { class: "row" }, this.button, this.slider, whole, this.says);
    new ResizeObserver(() => this.chart?.setSize({ width: this.place.clientWidth, height: HEIGHT })).observe(this.place);
  }

  /** Shows a run (of two), as a whole.  label: which. */
  use(run: Run, label: string): void {
    this.stop();
    [this.run, this.range, this.brushed] = [run, null, false];
    this.slider.max = String(Math.max((run.series?.lengths.length ?? 0) - 1, 0));
    this.slider.value = "-1";
    const none = el("p", { class: "note" }, "This run has no time series.");
    this.element.replaceChildren(...(label ? [el("b", {}, label)] : []), ...(run.series ? [this.row, this.place] : [none]));
    this.draw();
    this.describe();
  }

  /** Whether there is anything to play. */
  get has(): boolean { return Boolean(this.run.series); }

  /** Draws the chart (again, when the theme has changed). */
  draw(): void {
    const series = this.run.series;
    this.chart?.destroy();
    this.chart = null;
    if (!series) return;
    const pes = this.run.width * this.run.height, { lengths, rows } = series;
    const last = lengths.length - 1; // its value stands again at its end, for the last step
    const rate = (row: number, by: number) => [...lengths, lengths[last]].map((length, i) => rows[row][Math.min(i, last)] / length / by);
    const x = [...lengths.map((_, i) => i * series.bin), this.run.cycles];
    const axis = { stroke: style("--ink"), grid: { stroke: style("--line"), width: 1 }, ticks: { stroke: style("--line"), width: 1 }, font: "11px system-ui, sans-serif" };
    const bars = uPlot.paths.stepped!({ align: 1 });
    const line = (label: string, scale: string, name: string, dash?: number[]) => ({ label, scale, stroke: style(name), width: 1.5, paths: bars, dash, points: { show: false }, value: (_: uPlot, v: number | null) => (v == null ? "" : scale === "%" ? percent(v) : count(v)) });
    this.chart = new uPlot({
      width: this.place.clientWidth || 600, height: HEIGHT,
      cursor: { drag: { x: true, y: false, setScale: false }, points: { size: 6 } },
      legend: { live: true },
      scales: { x: { time: false, range: () => [0, this.run.cycles] }, "%": { range: (_, __, top) => [0, 1.08 * (top || 1)] }, hops: { range: (_, __, top) => [0, 1.08 * (top || 1)] } },
      axes: [
        { ...axis, values: (_, values) => values.map((value) => value.toLocaleString("en-US")) },
        { ...axis, scale: "%", size: 60, values: (_, values) => values.map((value) => `${Number((100 * value).toPrecision(3))} %`) },
        { ...axis, scale: "hops", side: 1, size: 60, grid: { show: false }, values: (_, values) => values.map(count) },
      ],
      series: [
        { label: "cycle", value: (_, v) => (v == null ? "" : count(Math.round(v))) },
        line("busy", "%", "--busy"), line("waiting for the fabric", "%", "--wait", [5, 3]), line("wavelet-hops per cycle", "hops", "--hops"),
      ],
      hooks: {
        setSelect: [(chart) => {
          if (chart.select.width < 4) { if (this.brushed) { this.brushed = false; this.set(null); } return; }
          this.brushed = true;
          const bin = (px: number) => Math.min(lengths.length - 1, Math.max(0, Math.floor(chart.posToVal(px, "x") / series.bin)));
          this.stop();
          this.set([bin(chart.select.left), bin(chart.select.left + chart.select.width - 1)]);
        }],
        drawClear: [(chart) => {
          if (!this.range) return;
          const [from, to] = this.cycles(this.range), left = chart.valToPos(from, "x", true), right = chart.valToPos(to, "x", true);
          chart.ctx.fillStyle = style("--mark");
          chart.ctx.fillRect(left, chart.bbox.top, Math.max(right - left, 2), chart.bbox.height);
        }],
      },
    }, [x, rate(0, pes), rate(3, pes), rate(1, 1)], this.place);
  }

  /** First cycle, and the one after the last, of a range. */
  cycles([first, last]: [number, number]): [number, number] {
    const { bin, lengths } = this.run.series!;
    return [first * bin, last * bin + lengths[last]];
  }

  set(range: Range): void {
    this.range = range;
    this.slider.value = String(range ? range[0] : -1);
    if (!range && this.chart) this.chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.chart?.redraw(false);
    this.describe();
    this.changed(range);
  }

  private to(bin: number): void {
    this.chart?.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.set(bin < 0 ? null : [bin, bin]);
  }

  step(by: number): void {
    const last = Number(this.slider.max);
    this.to(Math.min(last, Math.max(-1, Number(this.slider.value) + by)));
  }

  play(): void {
    if (this.timer) { this.stop(); return; }
    if (!this.has) return;
    if (Number(this.slider.value) >= Number(this.slider.max)) this.to(0);
    this.button.textContent = "⏸";
    this.timer = window.setInterval(() => {
      if (Number(this.slider.value) >= Number(this.slider.max)) this.stop();
      else this.step(1);
    }, 120);
  }

  stop(): void {
    window.clearInterval(this.timer);
    this.timer = 0;
    this.button.textContent = "▶";
  }

  private describe(): void {
    const { range, run } = this;
    if (!range) { this.says.textContent = run.cycles ? `whole run: cycles 0 to ${count(run.cycles - 1)}` : "the run has no cycle"; return; }
    const [from, to] = this.cycles(range);
    this.says.textContent = `cycles ${count(from)} to ${count(to - 1)}`;
  }
}
