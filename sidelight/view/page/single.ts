// Panels that show one value for each series: stat, gauge and bar gauge.
import { faded, onBackground } from './colors';
import { h, svg } from './dom';
import { label, reduced, shown, thresholdColor } from './fields';
import type { Field, Frame, Panel, Value } from './types';
import type { Drawn } from './graph';

interface One { name: string; value: Value; text: string; color: string | null; field: Field; times: Value[] }

function each(panel: Panel, frames: Frame[]): One[] {
  const { calcs = ['lastNotNull'], values = false } = panel.options?.reduceOptions ?? {};
  return frames.flatMap((frame) => frame.fields.filter(({ kind }) => kind === 'number').flatMap((field) => {
    const times = frame.fields.find(({ kind }) => kind === 'time')?.values ?? [];
    const found = values ? field.values : [reduced(field, calcs[0] ?? 'lastNotNull')];
    return found.map((value) => ({ name: label(field), value, ...shown(value, field.config), field, times }));
  }));
}

function sparkline({ field, times, color }: One): SVGElement | null {
  const points = field.values.map((value, index) => [times[index], value] as [number, number | null]).filter((point): point is [number, number] => typeof point[1] === 'number');
  if (points.length < 2) return null;
  const [left, right] = [points[0]![0], points.at(-1)![0]];
  const values = points.map(([, value]) => value);
  const least = Math.min(field.config.min ?? Infinity, ...values);
  const most = Math.max(...values);
  const place = ([at, value]: [number, number]): string => `${(((at - left) / (right - left || 1)) * 100).toFixed(2)},${(38 - ((value - least) / (most - least || 1)) * 36).toFixed(2)}`;
  const path = points.map(place).join(' L');
  return svg('svg', { class: 'spark', viewBox: '0 0 100 40', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    svg('path', { d: `M0,40 L${path} L100,40 Z`, style: { fill: color ? faded(color, 0.15) : 'none' } }),
    svg('path', { d: `M${path}`, style: { fill: 'none', stroke: color ?? 'currentColor', 'stroke-width': 1.5, 'vector-effect': 'non-scaling-stroke' } }));
}

export function stat(panel: Panel, frames: Frame[]): Drawn {
  const { colorMode = 'value', graphMode = 'area', textMode = 'auto' } = panel.options ?? {};
  const all = each(panel, frames);
  const withName = textMode === 'name' || textMode === 'value_and_name' || (textMode === 'auto' && all.length > 1);
  const boxes = all.map((one) => {
    const filled = colorMode.startsWith('background') && one.color;
    const style = filled ? { background: one.color, color: onBackground(one.color!) } : colorMode === 'value' && one.color ? { color: one.color } : {};
    return h('div', { class: 'stat', style }, withName && h('span', { class: 'name' }, one.name),
      textMode !== 'name' && textMode !== 'none' && h('span', { class: 'value' }, one.text), graphMode === 'area' && sparkline(one));
  });
  return { element: h('div', { class: 'stats' }, ...boxes), end: () => {}, summary: all.map(({ name, text }) => (withName ? `${name}: ${text}` : text)).join(', ') };
}

const share = (value: Value, { min = 0, max = 100 }: { min?: number; max?: number }): number =>
  typeof value === 'number' && Number.isFinite(value) ? Math.max(0, Math.min(1, (value - min) / (max - min || 1))) : 0;

function arc(from: number, to: number, radius: number): string {
  const point = (at: number): string => { const angle = Math.PI * (0.75 + 1.5 * at); return `${(50 + radius * Math.cos(angle)).toFixed(3)} ${(50 + radius * Math.sin(angle)).toFixed(3)}`; };
  return `M ${point(from)} A ${radius} ${radius} 0 ${(to - from) * 1.5 > 1 ? 1 : 0} 1 ${point(to)}`;
}

export function gauge(panel: Panel, frames: Frame[]): Drawn {
  const all = each(panel, frames);
  const boxes = all.map(({ name, value, text, color, field: { config } }) => {
    const { min = 0, max = config.unit === 'percentunit' ? 1 : 100, thresholds } = config;
    const at = share(value, { min, max });
    const steps = thresholds?.steps ?? [];
    const place = (step: number | null | undefined): number => (step === null || step === undefined ? 0 : thresholds!.mode === 'percentage' ? Math.max(0, Math.min(1, step / 100)) : share(step, { min, max }));
    const bands = panel.options?.showThresholdMarkers === false ? [] : steps.map((step, index) => [place(step.value), index + 1 < steps.length ? place(steps[index + 1]!.value) : 1, step] as const).filter(([from, to]) => to > from);
    const ring = (d: string, stroke: string, width: number): SVGElement => svg('path', { d, style: { fill: 'none', stroke, 'stroke-width': width } });
    return h('div', { class: 'gauge', role: 'meter', 'aria-label': name || panel.title, 'aria-valuemin': min, 'aria-valuemax': max, 'aria-valuenow': typeof value === 'number' && Number.isFinite(value) ? value : undefined, 'aria-valuetext': text },
      svg('svg', { viewBox: '0 0 100 88', 'aria-hidden': 'true' }, ring(arc(0, 1, 40), 'var(--faint)', 11), at > 0 && ring(arc(0, at, 40), color ?? 'currentColor', 11),
        ...bands.map(([from, to, step]) => ring(arc(from, to, 47.5), thresholdColor(step.value ?? -Infinity, config), 2))),
      h('span', { class: 'value', style: color ? { color } : {} }, text), all.length > 1 && h('span', { class: 'name' }, name));
  });
  return { element: h('div', { class: 'gauges' }, ...boxes), end: () => {}, summary: all.map(({ name, text }) => `${name}: ${text}`).join(', ') };
}

export function bars(panel: Panel, frames: Frame[]): Drawn {
  const all = each(panel, frames);
  const numbers = all.map(({ value }) => value).filter((value): value is number => typeof value === 'number' && Number.isFinite(value));
  const lines = all.map(({ name, value, text, color, field: { config } }) => {
    const range = { min: config.min ?? Math.min(0, ...numbers), max: config.max ?? Math.max(...numbers, 0) };
    return h('div', { class: 'bar', role: 'meter', 'aria-label': name, 'aria-valuemin': range.min, 'aria-valuemax': range.max, 'aria-valuenow': typeof value === 'number' && Number.isFinite(value) ? value : undefined, 'aria-valuetext': text },
      h('span', { class: 'name' }, name), h('span', { class: 'value', style: color ? { color } : {} }, text),
      h('span', { class: 'track' }, h('span', { class: 'fill', style: { width: `${(share(value, range) * 100).toFixed(2)}%`, background: color ?? 'currentColor' } })));
  });
  return { element: h('div', { class: 'bars' }, ...lines), end: () => {}, summary: all.map(({ name, text }) => `${name}: ${text}`).join(', ') };
}
