// Turns Prometheus' answers into fields with their configuration, as Grafana does.
import { named, ofPalette } from './colors';
import { formatted } from './units';
import type { Answer, Field, FieldConfig, Frame, Labels, Override, Panel, Sample, Series, Target, Value } from './types';

export const number = (text: string): number => (text === '+Inf' ? Infinity : text === '-Inf' ? -Infinity : Number(text));
const plotted = (text: string): number | null => { const value = number(text); return Number.isNaN(value) ? null : value; };

export function written(labels: Labels): string {
  const { __name__: name = '', ...rest } = labels;
  const inside = Object.entries(rest).map(([key, value]) => `${key}="${value}"`).join(', ');
  return inside ? `${name}{${inside}}` : name;
}

export function legend(target: Target, labels: Labels, expression: string): string {
  const format = target.legendFormat;
  if (format && format !== '__auto') return format.replace(/\{\{\s*(.+?)\s*\}\}/g, (_, label: string) => labels[label] ?? '').replace(/\s+/g, ' ').trim();
  return written(labels) || expression;
}

function rows(answer: Answer): Series[] {
  if (answer.kind === 'scalar') return [{ metric: {}, value: answer.result as Sample }];
  return answer.kind === 'matrix' || answer.kind === 'vector' ? answer.result : [];
}

const field = (refId: string, name: string, kind: Field['kind'], values: Value[], labels: Labels = {}): Field => ({ refId, name, kind, values, labels, config: { custom: {} } });

// One frame for each series: its times, and its values on every step, so that gaps stay gaps.
function lines(target: Target, answer: Answer): Frame[] {
  return rows(answer).map((series) => {
    const samples = series.values ?? (series.value ? [series.value] : []);
    const times: Value[] = [];
    const values: Value[] = [];
    let last = NaN;
    for (const [at, text] of samples) {
      const now = at * 1000;
      if (answer.step && now - last > answer.step * 1.5) {
        times.push(last + answer.step);
        values.push(null);
      }
      times.push(now);
      values.push(plotted(text));
      last = now;
    }
    const name = legend(target, series.metric, answer.expression);
    return { refId: target.refId, fields: [field(target.refId, 'Time', 'time', times), { ...field(target.refId, name, 'number', values, series.metric) }] };
  });
}

// One frame: a line for each sample, a column for each label.
function table(target: Target, answer: Answer, several: boolean): Frame {
  const found = rows(answer).flatMap((series) => (series.values ?? [series.value!]).map((sample) => ({ metric: series.metric, sample })));
  const labels = [...new Set(found.flatMap(({ metric }) => Object.keys(metric)))].sort();
  return {
    refId: target.refId,
    fields: [
      field(target.refId, 'Time', 'time', found.map(({ sample }) => sample[0] * 1000)),
      ...labels.map((label) => field(target.refId, label, 'string', found.map(({ metric }) => metric[label] ?? null))),
      field(target.refId, several ? `Value #${target.refId}` : 'Value', 'number', found.map(({ sample }) => number(sample[1]))),
    ],
  };
}

// Buckets of a histogram in the order of their edges, each without those below it.
function buckets(target: Target, answer: Answer): Frame[] {
  const edge = (frame: Frame): number => number(frame.fields[1]!.labels.le ?? 'NaN');
  const sorted = lines(target, answer).sort((one, other) => edge(one) - edge(other));
  if (sorted.some((frame) => Number.isNaN(edge(frame)))) return sorted;
  const cumulative = sorted.map((frame) => new Map(frame.fields[0]!.values.map((time, index) => [time as number, frame.fields[1]!.values[index] as number | null])));
  sorted.forEach((frame, index) => {
    const [times, values] = frame.fields as [Field, Field];
    values.values = times.values.map((time) => {
      const here = cumulative[index]!.get(time as number) ?? null;
      const below = index ? cumulative[index - 1]!.get(time as number) ?? 0 : 0;
      return here === null ? null : Math.max(0, here - below);
    });
  });
  return sorted;
}

export function frames(panel: Panel, answers: Record<string, Answer>): Frame[] {
  const targets = (panel.targets ?? []).filter((target) => answers[target.refId]);
  const tables = targets.filter((target) => target.format === 'table').length;
  return targets.flatMap((target) => {
    const answer = answers[target.refId]!;
    if (target.format === 'table') return [table(target, answer, tables > 1)];
    return target.format === 'heatmap' ? buckets(target, answer) : lines(target, answer);
  });
}

// --- Configuration ----------------------------------------------------------------------------------------------------

function matches({ id, options }: Override['matcher'], each: Field): boolean {
  const name = each.config.displayName ?? each.name;
  switch (id) {
    case 'byName': return name === options || each.name === options;
    case 'byRegexp': { const body = /^\/(.*)\/[a-z]*$/.exec(String(options)); return new RegExp(body ? body[1]! : String(options)).test(name); }
    case 'byNames': return (options?.names ?? []).includes(name) === (options?.mode !== 'exclude');
    case 'byType': return each.kind === options;
    case 'byFrameRefID': return each.refId === options;
    default: return false;
  }
}

function put(config: any, path: string, value: unknown): void {
  const [first, ...rest] = path.split('.') as [string, ...string[]];
  if (['__proto__', 'constructor', 'prototype'].includes(first)) return;
  if (!rest.length) config[first] = value;
  else put((config[first] = { ...(config[first] ?? {}) }), rest.join('.'), value);
}

export function configured(panel: Panel, made: Frame[]): Frame[] {
  const { defaults = {}, overrides = [] } = panel.fieldConfig ?? {};
  for (const each of made.flatMap((frame) => frame.fields)) {
    each.config = { ...defaults, custom: { ...(defaults.custom ?? {}) } } as FieldConfig;
    for (const { matcher, properties } of overrides) if (matches(matcher, each)) for (const { id, value } of properties) put(each.config, id, value);
  }
  return made;
}

export const label = (each: Field): string => each.config.displayName ?? each.name;

// --- Values -----------------------------------------------------------------------------------------------------------

export interface Shown { text: string; color: string | null }

function mapped(value: Value, config: FieldConfig): { text?: string; color?: string } | null {
  for (const { type, options } of config.mappings ?? []) {
    if (type === 'value' && value !== null && options[String(value)]) return options[String(value)];
    if (type === 'range' && typeof value === 'number' && value >= (options.from ?? -Infinity) && value <= (options.to ?? Infinity)) return options.result;
    if (type === 'regex' && typeof value === 'string' && new RegExp(options.pattern.replace(/^\/|\/[a-z]*$/g, '')).test(value)) return options.result;
    if (type === 'special') {
      const none = value === null || value === undefined;
      const nan = typeof value === 'number' && Number.isNaN(value);
      if ({ null: none, nan, 'null+nan': none || nan, empty: value === '', true: String(value) === 'true', false: String(value) === 'false' }[options.match as string]) return options.result;
    }
  }
  return null;
}

export function thresholdColor(value: number, config: FieldConfig): string {
  const { steps = [], mode = 'absolute' } = config.thresholds ?? {};
  const { min = 0, max = 100 } = config;
  const at = mode === 'percentage' ? ((value - min) / (max - min || 1)) * 100 : value;
  let color = 'text';
  for (const step of steps) if (step.value === null || step.value === undefined || at >= step.value) color = step.color;
  return named(color);
}

export function shown(value: Value, config: FieldConfig): Shown {
  const found = mapped(value, config);
  const byThreshold = typeof value === 'number' && config.color?.mode === 'thresholds' ? thresholdColor(value, config) : null;
  const color = found?.color ? named(found.color) : config.color?.mode === 'fixed' ? named(config.color.fixedColor ?? 'text') : byThreshold;
  if (found?.text !== undefined) return { text: found.text, color };
  if (value === null || value === undefined) return { text: config.noValue ?? '–', color: null };
  return { text: typeof value === 'number' ? formatted(value, config.unit, config.decimals) : value, color };
}

export function seriesColor(each: Field, index: number): string {
  const { color } = each.config;
  if (color?.mode === 'fixed') return named(color.fixedColor ?? 'text');
  if (color?.mode === 'thresholds') return thresholdColor((reduced(each, 'lastNotNull') as number | null) ?? 0, each.config);
  return ofPalette(index);
}

const CALCS: Record<string, (values: number[]) => number | null> = {
  lastNotNull: (values) => values.at(-1) ?? null, firstNotNull: (values) => values[0] ?? null,
  mean: (values) => (values.length ? values.reduce((sum, each) => sum + each, 0) / values.length : null),
  sum: (values) => values.reduce((sum, each) => sum + each, 0), count: (values) => values.length,
  min: (values) => (values.length ? values.reduce((least, each) => Math.min(least, each)) : null),
  max: (values) => (values.length ? values.reduce((most, each) => Math.max(most, each)) : null),
  range: (values) => (values.length ? CALCS.max!(values)! - CALCS.min!(values)! : null),
  diff: (values) => (values.length ? values.at(-1)! - values[0]! : null),
};
export const CALC_NAMES: Record<string, string> = { lastNotNull: 'Last', last: 'Last', firstNotNull: 'First', first: 'First', mean: 'Mean', sum: 'Total', count: 'Count', min: 'Min', max: 'Max', range: 'Range', diff: 'Difference' };

export function reduced(each: Field, calc: string): Value {
  if (calc === 'last') return each.values.at(-1) ?? null;
  if (calc === 'first') return each.values[0] ?? null;
  if (each.kind === 'string') return each.values.at(-1) ?? null;
  const values = each.values.filter((value): value is number => typeof value === 'number' && !Number.isNaN(value));
  return (CALCS[calc] ?? CALCS.lastNotNull!)(values);
}
