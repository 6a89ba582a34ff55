// Draws time series with uPlot: lines, areas, bars, stacks, threshold lines, annotations, a tooltip and a legend.
import uPlot from 'uplot';
import { faded, isDark, named } from './colors';
import { announce, h } from './dom';
import { CALC_NAMES, label, reduced, seriesColor, shown } from './fields';
import { formatted, moment } from './units';
import type { Field, Frame, Panel, ThresholdStep, Window } from './types';

export interface Mark { from: number; to: number; color: string; title: string; text: string; name: string }
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

export interface Row { name: string; color: string | null; text: string }

export function tooltip(root: HTMLElement): (left: number, top: number, heading: string, rows: Row[], notes: Mark[]) => void {
  const box = h('div', { class: 'tooltip', hidden: true, 'aria-hidden': 'true' });
  root.append(box);
  return (left, top, heading, rows, notes) => {
    box.hidden = left < 0;
    if (box.hidden) return;
    box.replaceChildren(
      h('strong', {}, heading),
      ...rows.map(({ name, color, text }) => h('div', { class: 'line' }, h('i', { class: 'key', style: { background: color ?? 'transparent' } }), h('span', {}, name), h('b', {}, text))),
      ...notes.map(({ color, title, text }) => h('div', { class: 'line' }, h('i', { class: 'key round', style: { background: named(color) } }), h('span', {}, [title, text].filter(Boolean).join(': ')))),
    );
    const { clientWidth: width, clientHeight: height } = root;
    const x = left + box.offsetWidth + 16 > width ? Math.max(0, left - box.offsetWidth - 12) : left + 12;
    box.style.setProperty('transform', `translate(${x}px, ${Math.max(0, Math.min(top, height - box.offsetHeight))}px)`);
  };
}

export interface Keys { step: (by: number) => void; leave: () => void }

// Arrow keys move along the graph, and what is there is read aloud.
export function keyboard(element: HTMLElement, { step, leave }: Keys): void {
  element.addEventListener('keydown', (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -1e9, End: 1e9 }[event.key];
    if (by !== undefined) step(by);
    else if (event.key === 'Escape') leave();
    else return;
    event.preventDefault();
  });
  element.addEventListener('blur', leave);
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
  const say = tooltip(plot);
  const log = custom.scaleDistribution?.type === 'log';

  const paths = uPlot.paths;
  const series: uPlot.Series[] = drawn.map(({ values }, index) => {
    const { drawStyle = 'line', lineInterpolation = 'linear', lineWidth = 1, fillOpacity = 0, spanNulls = false, showPoints = 'auto', pointSize = 5, lineStyle } = values.config.custom;
    const color = colors[index]!;
    const path = drawStyle === 'bars' ? paths.bars!({ size: [0.8, 40] }) : lineInterpolation === 'stepAfter' ? paths.stepped!({ align: 1 }) : lineInterpolation === 'stepBefore' ? paths.stepped!({ align: -1 }) : lineInterpolation === 'smooth' ? paths.spline!() : undefined;
    const few = times.length < 3 || showPoints === 'always';
    return {
      label: label(values), show: !hidden.has(label(values)), stroke: color, width: drawStyle === 'points' ? 0 : Math.max(1.5, lineWidth), spanGaps: spanNulls === true,
      fill: fillOpacity ? faded(color, fillOpacity / 100) : undefined, paths: path, dash: lineStyle?.fill === 'dash' ? lineStyle.dash ?? [10, 10] : undefined,
      points: { show: drawStyle === 'points' || few ? true : showPoints === 'never' ? false : lonely, size: pointSize, fill: color, stroke: color },
    } as uPlot.Series;
  });

  // A sample between two gaps would otherwise be invisible.
  function lonely(u: uPlot, index: number): boolean {
    const values = u.data[index] as (number | null | undefined)[];
    const present = values.map((value, at) => [value, at] as const).filter(([value]) => value !== undefined).map(([value]) => value);
    return present.some((value, at) => value !== null && (present[at - 1] ?? null) === null && (present[at + 1] ?? null) === null);
  }

  const range: uPlot.Range.Function = (_, least, most) => {
    const soft = [custom.axisSoftMin, custom.axisSoftMax].filter((value) => typeof value === 'number');
    const low = Math.min(least ?? Infinity, ...soft);
    const high = Math.max(most ?? -Infinity, ...soft);
    if (log) return uPlot.rangeLog(Math.max(low, 1e-9), Math.max(high, 1e-8), 10, true);
    if (!Number.isFinite(low) || !Number.isFinite(high)) return [defaults.min ?? 0, defaults.max ?? 1];
    const [from, to] = uPlot.rangeNum(low, high === low ? low + (Math.abs(low) || 1) : high, 0.1, true) as [number, number];
    return [defaults.min ?? (low >= 0 ? Math.max(0, from) : from), defaults.max ?? (typeof custom.axisSoftMax === 'number' && high === custom.axisSoftMax ? high : to)];
  };

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

  let by: 'pointer' | 'keys' = 'pointer';
  const u = new uPlot({
    width: 300, height: 150, padding: [8, 8, 0, 0],
    legend: { show: false }, series: [{}, ...series], axes: axes(first.unit, first.decimals),
    scales: { x: { time: true, range: () => [window.start, window.end] }, y: { range, distr: log ? 3 : 1 } },
    cursor: { drag: { x: true, y: false, setScale: false }, sync: sync ? { key: sync } : undefined, points: { size: 7 }, focus: { prox: 24 } },
    bands: isStacked ? drawn.slice(1).map((_, index) => ({ series: [index + 2, index + 1] as [number, number] })) : undefined,
    hooks: {
      drawClear: [(each) => { if (style !== 'off') thresholds(each, steps, style); }],
      draw: [(each) => annotations(each, marks)],
      setSelect: [(each) => {
        if (each.select.width < 4) return;
        zoom(each.posToVal(each.select.left, 'x') * 1000, each.posToVal(each.select.left + each.select.width, 'x') * 1000);
        each.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
      }],
      setCursor: [(each) => {
        const { idx, left = -1, top = 0 } = each.cursor;
        const isHere = by === 'keys' || plot.matches(':hover');
        if (idx === null || idx === undefined || left < 0 || !isHere) return say(-1, 0, '', [], []);
        const found = cells(idx);
        const more = found.length > 20 ? [{ name: `${found.length - 20} more`, color: null, text: '' }] : [];
        say(left + each.over.offsetLeft, top, moment(times[idx]! * 1000), [...found.slice(0, 20), ...more], near(idx));
      }],
    },
  }, [times, ...stacked(columns, groups)] as uPlot.AlignedData, plot);

  plot.addEventListener('pointermove', () => { by = 'pointer'; });
  keyboard(plot, {
    step: (move) => {
      if (!times.length) return;
      by = 'keys';
      const index = Math.max(0, Math.min(times.length - 1, (u.cursor.idx ?? (move > 0 ? -1 : times.length)) + move));
      u.setCursor({ left: u.valToPos(times[index]!, 'x'), top: u.over.clientHeight / 3 });
      const rows = cells(index).map(({ name, text }) => `${name}: ${text}`);
      announce([moment(times[index]! * 1000), ...rows, ...near(index).map(({ title }) => title)].join('. '));
    },
    leave: () => { by = 'pointer'; u.setCursor({ left: -10, top: -10 }); },
  });

  const named_ = drawn.map(({ values }) => `${label(values)}: ${shown(reduced(values, 'lastNotNull'), values.config).text}`);
  const summary = drawn.length ? `Last values: ${named_.slice(0, 10).join(', ')}${drawn.length > 10 ? `, and ${drawn.length - 10} more series` : ''}.` : '';
  plot.setAttribute('aria-label', `${panel.title}. ${summary} Use the arrow keys to read single values.`);
  const legend = keys(panel, drawn.map(({ values }) => values), colors, hidden, u);
  const element = h('div', { class: 'graph' }, plot, legend);
  return { element, summary, end: ((stop) => () => { stop(); u.destroy(); })(sized(plot, u, () => plot.clientHeight)) };
}

function keys(panel: Panel, fields: Field[], colors: string[], hidden: Set<string>, u: uPlot): HTMLElement | null {
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
      u.setSeries(index + 1, { show });
    });
    return h('li', {}, button);
  });
  return h('ul', { class: 'legend', 'aria-label': 'Legend' }, ...items);
}
