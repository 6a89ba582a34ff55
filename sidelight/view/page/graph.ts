// Draws time series with uPlot: lines, areas, bars, stacks, threshold lines, annotations, a tooltip and a legend.
import uPlot from 'uplot';
import { faded, isDark, named } from './colors';
import { cursor } from './cursor';
import { h } from './dom';
import { CALC_NAMES, label, reduced, seriesColor, shown } from './fields';
import { formatted } from './units';
import type { Mark, Row } from './cursor';
import type { Field, Frame, Panel, ThresholdStep, Window } from './types';

export interface Drawing { panel: Panel; frames: Frame[]; window: Window; marks: Mark[]; sync: string | null; hidden: Set<string>; zoom: (from: number, to: number) => void }
export type Drawn = { element: HTMLElement; end: () => void; summary: string };

const MOST_LINES = 100;
const NEAR = 8; // pixels

const line = (): string => (isDark() ? 'rgba(204, 204, 220, 0.12)' : 'rgba(36, 41, 46, 0.14)');
const faint = (): string => (isDark() ? '#a4a9b3' : '#565c66');
const font = (): string => `12px ${getComputedStyle(document.body).fontFamily}`;

export function aligned(fields: { times: Field; values: Field }[]): [number[], (number | null | undefined)[][]] {
  const tables = fields.map(({ times, values }) => [times.values.map((time) => (time as number) / 1000), values.values as (number | null)[]] as [number[], (number | null)[]]);
  if (!tables.length) return [[], []];
  // Where a series has no sample it is undefined, which joins; null is a gap.
  const [times, ...columns] = uPlot.join(tables.map((table) => table as unknown as uPlot.AlignedData)) as unknown as [number[], ...(number | null | undefined)[][]];
  return [times, columns];
}

function stacked(columns: (number | null | undefined)[][], groups: (string | null)[]): (number | null | undefined)[][] {
  const sums = new Map<string, number[]>();
  return columns.map((column, index) => {
    const group = groups[index];
    if (!group) return column;
    const below = sums.get(group) ?? new Array<number>(column.length).fill(0);
    const made = column.map((value, at) => (value === null || value === undefined ? value : (below[at]! += value)));
    sums.set(group, below);
    return made;
  });
}

export const axes = (unit: string | undefined, decimals?: number): uPlot.Axis[] => [
  { stroke: faint(), font: font(), grid: { stroke: line(), width: 1 }, ticks: { stroke: line(), width: 1, size: 4 }, size: 28, space: 70, values: clock },
  {
    stroke: faint(), font: font(), grid: { stroke: line(), width: 1 }, ticks: { show: false }, gap: 6,
    size: (u, values) => Math.max(36, ...(values ?? []).map((value) => { u.ctx.font = font(); return u.ctx.measureText(value).width / devicePixelRatio + 16; })),
    // On a logarithmic scale, a split without a label is null.
    values: (_, splits) => splits.map((value) => (value === null ? '' : formatted(Number(value.toPrecision(12)), unit, decimals))),
  },
];

function clock(u: uPlot, splits: number[]): string[] {
  const span = (u.scales.x?.max ?? 0) - (u.scales.x?.min ?? 0);
  const time: Intl.DateTimeFormatOptions = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' };
  const shape: Intl.DateTimeFormatOptions = span > 5 * 86_400 ? { month: 'short', day: 'numeric' } : span > 86_400 ? { month: 'short', day: 'numeric', ...time } : span < 600 ? { ...time, second: '2-digit' } : time;
  const format = new Intl.DateTimeFormat(undefined, shape);
  return splits.map((value) => format.format(value * 1000));
}

function thresholds(u: uPlot, steps: ThresholdStep[], style: string): void {
  const { ctx, bbox } = u;
  ctx.save();
  for (const [index, { color, value }] of steps.entries()) {
    if (value === null || value === undefined) continue;
    const y = Math.round(u.valToPos(value, 'y', true));
    if (style.includes('area')) {
      const next = steps[index + 1]?.value;
      const top = next === null || next === undefined ? bbox.top : Math.max(bbox.top, u.valToPos(next, 'y', true));
      ctx.fillStyle = faded(named(color), 0.1);
      if (y > top) ctx.fillRect(bbox.left, top, bbox.width, Math.min(y, bbox.top + bbox.height) - top);
    }
    if (style === 'area' || y < bbox.top || y > bbox.top + bbox.height) continue;
    ctx.strokeStyle = named(color);
    ctx.lineWidth = 2 * Math.round(devicePixelRatio); // on whole pixels, so that it is sharp
    ctx.setLineDash(style.includes('dashed') ? [8 * devicePixelRatio, 5 * devicePixelRatio] : []);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
  }
  ctx.restore();
}

function annotations(u: uPlot, marks: Mark[]): void {
  const { ctx, bbox } = u;
  const bottom = bbox.top + bbox.height;
  ctx.save();
  for (const { from, to, color } of marks) {
    const [left, right] = [from, to].map((at) => u.valToPos(at / 1000, 'x', true)) as [number, number];
    if (right < bbox.left || left > bbox.left + bbox.width) continue;
    const start = Math.max(left, bbox.left);
    ctx.strokeStyle = ctx.fillStyle = named(color);
    ctx.lineWidth = devicePixelRatio;
    if (right - left > 2) {
      ctx.globalAlpha = 0.06;
      ctx.fillRect(start, bbox.top, Math.min(right, bbox.left + bbox.width) - start, bbox.height);
      ctx.globalAlpha = 1;
      ctx.fillRect(start, bottom - 3 * devicePixelRatio, Math.min(right, bbox.left + bbox.width) - start, 3 * devicePixelRatio);
    }
    if (left < bbox.left) continue;
    ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(left, bbox.top);
    ctx.lineTo(left, bottom);
    ctx.stroke();
  }
  ctx.restore();
}

export function sized(element: HTMLElement, plot: uPlot, height: () => number): () => void {
  const fit = (): void => {
    const size = { width: element.clientWidth, height: height() };
    if (size.width > 0 && size.height > 0 && (size.width !== plot.width || size.height !== plot.height)) plot.setSize(size);
  };
  const observer = new ResizeObserver(fit);
  observer.observe(element);
  return () => observer.disconnect();
}

function pathOf({ drawStyle, lineInterpolation }: Record<string, any>): uPlot.Series.PathBuilder | undefined {
  const { bars, stepped, spline } = uPlot.paths;
  if (drawStyle === 'bars') return bars!({ size: [0.8, 40] });
  return { stepAfter: stepped!({ align: 1 }), stepBefore: stepped!({ align: -1 }), smooth: spline!() }[lineInterpolation as string];
}

function styled(values: Field, color: string, few: boolean, show: boolean): uPlot.Series {
  const { drawStyle = 'line', lineWidth = 1, fillOpacity = 0, spanNulls = false, showPoints = 'auto', pointSize = 5, lineStyle } = values.config.custom;
  const always = drawStyle === 'points' || few || showPoints === 'always';
  return {
    label: label(values), show, stroke: color, width: drawStyle === 'points' ? 0 : Math.max(1.5, lineWidth), spanGaps: spanNulls === true, paths: pathOf(values.config.custom),
    fill: fillOpacity ? faded(color, fillOpacity / 100) : undefined, dash: lineStyle?.fill === 'dash' ? lineStyle.dash ?? [10, 10] : undefined,
    points: { show: always ? true : showPoints === 'never' ? false : lonely, size: pointSize, fill: color, stroke: color },
  };
}

// A sample between two gaps would otherwise be invisible.
function lonely(u: uPlot, index: number): boolean {
  const present = [...u.data[index]!].filter((value) => value !== undefined);
  return present.some((value, at) => value !== null && (present[at - 1] ?? null) === null && (present[at + 1] ?? null) === null);
}

function axisRange({ min, max, custom = {} }: any, log: boolean): uPlot.Range.Function {
  const soft = [custom.axisSoftMin, custom.axisSoftMax].filter((value) => typeof value === 'number');
  return (_, least, most) => {
    const low = Math.min(least ?? Infinity, ...soft);
    const high = Math.max(most ?? -Infinity, ...soft);
    if (log) return uPlot.rangeLog(Math.max(low, 1e-9), Math.max(high, 1e-8), 10, true);
    if (!Number.isFinite(low) || !Number.isFinite(high)) return [min ?? 0, max ?? 1];
    const [from, to] = uPlot.rangeNum(low, high === low ? low + (Math.abs(low) || 1) : high, 0.1, true) as [number, number];
    return [min ?? (low >= 0 ? Math.max(0, from) : from), max ?? (high === custom.axisSoftMax ? high : to)];
  };
}

export function graph({ panel, frames, window, marks, sync, hidden, zoom }: Drawing, report: (text: string) => void): Drawn {
  const pairs = frames.flatMap((frame) => {
    const times = frame.fields.find(({ kind }) => kind === 'time');
    return times ? frame.fields.filter(({ kind, config }) => kind === 'number' && !config.custom.hideFrom?.viz).map((values) => ({ times, values })) : [];
  });
  if (pairs.length > MOST_LINES) report(`${MOST_LINES} of ${pairs.length} series are drawn; choose fewer with the variables above.`);
  const drawn = pairs.slice(0, MOST_LINES);
  const [times, columns] = aligned(drawn);
  const colors = drawn.map(({ values }, index) => seriesColor(values, index));
  const { defaults = {} } = panel.fieldConfig ?? {};
  const custom = defaults.custom ?? {};
  const first = drawn[0]?.values.config ?? defaults;
  const steps: ThresholdStep[] = defaults.thresholds?.steps ?? [];
  const style: string = custom.thresholdsStyle?.mode ?? 'off';
  const groups = drawn.map(({ values }) => { const { mode = 'none', group = 'A' } = values.config.custom.stacking ?? {}; return mode === 'none' ? null : group; });
  const isStacked = groups.some(Boolean);

  const plot = h('div', { class: 'plot', tabindex: 0, role: 'group', 'aria-roledescription': 'graph' });
  const log = custom.scaleDistribution?.type === 'log';

  const few = times.length < 3;
  const series = drawn.map(({ values }, index) => styled(values, colors[index]!, few, !hidden.has(label(values))));
  const cells = (index: number): Row[] => {
    const rows = drawn.map(({ values }, number) => ({ name: label(values), color: colors[number]!, value: columns[number]?.[index] ?? null, config: values.config }))
      .filter((row, number) => row.value !== null && u.series[number + 1]!.show);
    const { sort = 'none' } = panel.options?.tooltip ?? {};
    if (sort !== 'none') rows.sort((one, other) => (one.value! - other.value!) * (sort === 'desc' ? -1 : 1));
    return rows.map(({ name, color, value, config }) => ({ name, color, text: shown(value, config).text }));
  };
  const near = (index: number): Mark[] => {
    const at = u.valToPos(times[index]!, 'x');
    return marks.filter(({ from, to }) => at >= u.valToPos(from / 1000, 'x') - NEAR && at <= u.valToPos(to / 1000, 'x') + NEAR);
  };

  // Series that the reader hides are not part of a stack.
  const data = (): uPlot.AlignedData => [times, ...stacked(columns, groups.map((group, index) => (hidden.has(label(drawn[index]!.values)) ? null : group)))] as uPlot.AlignedData;
  const pointer = cursor(plot, times, (index) => ({ rows: cells(index), marks: near(index) }), zoom);
  const u = new uPlot({
    width: 300, height: 150, padding: [8, 8, 0, 0],
    legend: { show: false }, series: [{}, ...series], axes: axes(first.unit, first.decimals),
    scales: { x: { time: true, range: () => [window.start, window.end] }, y: { range: axisRange(defaults, log), distr: log ? 3 : 1 } },
    cursor: { drag: { x: true, y: false, setScale: false }, sync: sync ? { key: sync } : undefined, points: { size: 7 }, focus: { prox: 24 } },
    bands: isStacked ? drawn.slice(1).map((_, index) => ({ series: [index + 2, index + 1] as [number, number] })) : undefined,
    hooks: {
      ...pointer.hooks,
      drawClear: [(each) => { if (style !== 'off') thresholds(each, steps, style); }],
      draw: [(each) => annotations(each, marks)],
    },
  }, data(), plot);
  pointer.listen(u);

  const last = drawn.map(({ values }) => `${label(values)}: ${shown(reduced(values, 'lastNotNull'), values.config).text}`);
  const summary = drawn.length ? `Last values: ${last.slice(0, 10).join(', ')}${drawn.length > 10 ? `, and ${drawn.length - 10} more series` : ''}.` : '';
  plot.setAttribute('aria-label', `${panel.title}. ${summary} Use the arrow keys to read single values.`);
  const legend = keys(panel, drawn.map(({ values }) => values), colors, hidden, (index, show) => u.batch(() => { u.setSeries(index + 1, { show }); u.setData(data()); }));
  const element = h('div', { class: 'graph' }, plot, legend);
  return { element, summary, end: ((stop) => () => { stop(); u.destroy(); })(sized(plot, u, () => plot.clientHeight)) };
}

function keys(panel: Panel, fields: Field[], colors: string[], hidden: Set<string>, toggle: (index: number, show: boolean) => void): HTMLElement | null {
  const { showLegend = true, displayMode = 'list', calcs = [] } = panel.options?.legend ?? {};
  if (!showLegend || displayMode === 'hidden') return null;
  const items = fields.map((each, index) => {
    const button = h('button', { type: 'button', class: 'entry', 'aria-pressed': String(!hidden.has(label(each))), title: `Show or hide ${label(each)}` },
      h('i', { class: 'key', style: { background: colors[index]! } }), label(each),
      ...(calcs as string[]).map((calc) => h('span', { class: 'calc' }, ` ${CALC_NAMES[calc] ?? calc}: ${shown(reduced(each, calc), each.config).text}`)));
    button.addEventListener('click', () => {
      const show = button.getAttribute('aria-pressed') !== 'true';
      button.setAttribute('aria-pressed', String(show));
      if (show) hidden.delete(label(each));
      else hidden.add(label(each));
      toggle(index, show);
    });
    return h('li', {}, button);
  });
  return h('ul', { class: 'legend', 'aria-label': 'Legend' }, ...items);
}
