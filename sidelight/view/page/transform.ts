// Grafana's transformations that dashboards use; others are reported on the panel.
import type { Field, Frame, Transformation, Value } from './types';

type Step = (frames: Frame[], options: any) => Frame[];

const length = (frame: Frame): number => frame.fields[0]?.values.length ?? 0;
const row = (frame: Frame, index: number): Map<string, Value> => new Map(frame.fields.map((field) => [field.name, field.values[index] ?? null]));

function columns(frames: Frame[]): Field[] {
  const found = new Map<string, Field>();
  for (const field of frames.flatMap((frame) => frame.fields)) if (!found.has(field.name)) found.set(field.name, { ...field, values: [] });
  return [...found.values()];
}

// Lines with equal values in all columns that they share become one line.
const merge: Step = (frames) => {
  if (frames.length < 2) return frames;
  const shared = frames.map((frame) => new Set(frame.fields.map(({ name }) => name))).reduce((one, other) => new Set([...one].filter((name) => other.has(name))));
  const lines = new Map<string, Map<string, Value>[]>();
  for (const frame of frames) {
    for (let index = 0; index < length(frame); index += 1) {
      const cells = row(frame, index);
      const key = JSON.stringify([...shared].map((name) => cells.get(name)));
      const same = lines.get(key) ?? lines.set(key, []).get(key)!;
      const open = same.find((line) => [...cells].every(([name, value]) => !line.has(name) || line.get(name) === value));
      if (open) cells.forEach((value, name) => open.set(name, value));
      else same.push(cells);
    }
  }
  const all = [...lines.values()].flat();
  return [{ refId: frames[0]!.refId, fields: columns(frames).map((field) => ({ ...field, values: all.map((line) => line.get(field.name) ?? null) })) }];
};

const organize: Step = (frames, { excludeByName = {}, includeByName = {}, indexByName = {}, renameByName = {} }) =>
  frames.map((frame) => {
    const included = Object.keys(includeByName).filter((name) => includeByName[name]);
    const kept = frame.fields.filter(({ name }) => !excludeByName[name] && (!included.length || included.includes(name)));
    const place = ({ name }: Field): number => indexByName[name] ?? Infinity;
    const sorted = kept.map((field, index) => ({ field, index })).sort((one, other) => (place(one.field) - place(other.field) || 0) || one.index - other.index);
    return { ...frame, fields: sorted.map(({ field }) => ({ ...field, name: renameByName[field.name] || field.name })) };
  });

const joinByField: Step = (frames, { byField = 'Time', mode = 'outer' }) => {
  const joined = frames.filter((frame) => frame.fields.some(({ name }) => name === byField));
  if (joined.length < 2) return frames;
  const keys = joined.map((frame) => frame.fields.find(({ name }) => name === byField)!);
  const values = [...new Set(keys.flatMap((key) => key.values))].filter((value) => mode !== 'inner' || keys.every((key) => key.values.includes(value)));
  const rest = joined.flatMap((frame, number) => frame.fields.filter((field) => field !== keys[number]).map((field) => {
    const places = new Map(keys[number]!.values.map((value, index) => [value, index]));
    return { ...field, values: values.map((value) => (places.has(value) ? field.values[places.get(value)!] ?? null : null)) };
  }));
  return [{ refId: joined[0]!.refId, fields: [{ ...keys[0]!, values }, ...rest] }];
};

const reordered = (frame: Frame, order: number[]): Frame => ({ ...frame, fields: frame.fields.map((field) => ({ ...field, values: order.map((index) => field.values[index] ?? null) })) });

export function compare(one: Value, other: Value): number {
  if (one === null || other === null) return Number(one !== null) - Number(other !== null);
  if (typeof one === 'number' && typeof other === 'number') return one === other ? 0 : one - other || Number(Number.isNaN(other)) - Number(Number.isNaN(one));
  return String(one).localeCompare(String(other), undefined, { numeric: true });
}

const sortBy: Step = (frames, { sort = [] }) =>
  frames.map((frame) => {
    const by = frame.fields.find(({ name }) => name === sort[0]?.field);
    const order = [...Array(length(frame)).keys()];
    return by ? reordered(frame, order.sort((one, other) => compare(by.values[one]!, by.values[other]!) * (sort[0].desc ? -1 : 1))) : frame;
  });

const limit: Step = (frames, { limitField = 10 }) => frames.map((frame) => reordered(frame, [...Array(Math.min(length(frame), Number(limitField))).keys()]));

const filterFieldsByName: Step = (frames, { include, exclude }) => {
  const fits = (rule: any, name: string): boolean => rule?.names?.includes(name) || (rule?.pattern ? new RegExp(rule.pattern.replace(/^\/|\/[a-z]*$/g, '')).test(name) : false);
  return frames.map((frame) => ({ ...frame, fields: frame.fields.filter(({ name }) => (!include || fits(include, name)) && !(exclude && fits(exclude, name))) }));
};

const renameByRegex: Step = (frames, { regex = '', renamePattern = '' }) =>
  frames.map((frame) => ({ ...frame, fields: frame.fields.map((field) => ({ ...field, name: field.kind === 'time' ? field.name : field.name.replace(new RegExp(regex), renamePattern) })) }));

const STEPS: Record<string, Step> = { merge, organize, joinByField, sortBy, limit, filterFieldsByName, renameByRegex };

export function transformed(frames: Frame[], transformations: Transformation[] = [], report: (text: string) => void): Frame[] {
  return transformations.filter(({ disabled }) => !disabled).reduce((made, { id, options }) => {
    const step = STEPS[id];
    if (!step) report(`The transformation ${id} is not supported here; the data is shown without it.`);
    return step ? step(made, options ?? {}) : made;
  }, frames);
}
