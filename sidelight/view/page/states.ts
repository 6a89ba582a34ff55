// Draws a state timeline: one row for each series, one bar for as long as a state lasts.
import { onBackground, ofPalette } from './colors';
import { h } from './dom';
import { label, shown } from './fields';
import { moment } from './units';
import type { Drawing, Drawn } from './graph';
import type { Field, Value } from './types';

interface Span { from: number; to: number; value: Value }

function spans(times: Field, values: Field, step: number): Span[] {
  const found: Span[] = [];
  times.values.forEach((time, index) => {
    const [at, value, last] = [time as number, values.values[index] ?? null, found.at(-1)];
    if (last && last.value === value) last.to = at + step;
    else {
      if (last) last.to = Math.min(last.to, at);
      found.push({ from: at, to: at + step, value });
    }
  });
  return found.filter(({ value }) => value !== null);
}

export function states({ panel, frames, window }: Drawing): Drawn {
  const [start, end] = [window.start * 1000, window.end * 1000];
  const percent = (at: number): number => Math.max(0, Math.min(100, ((at - start) / (end - start)) * 100));
  const palette = new Map<string, string>();
  const rows = frames.flatMap((frame) => frame.fields.filter(({ kind }) => kind !== 'time').map((field) => {
    const times = frame.fields[0]!;
    const step = times.values.length > 1 ? Math.min(...times.values.slice(1).map((time, index) => (time as number) - (times.values[index] as number))) : (end - start) / 100;
    const found = spans(times, field, step).map((span) => {
      const { text, color: given } = shown(span.value, field.config);
      const color = given ?? palette.get(text) ?? palette.set(text, ofPalette(palette.size)).get(text)!;
      return { ...span, text, color };
    });
    return { name: label(field), found };
  }));
  const lines = rows.map(({ name, found }) => h('div', { class: 'states-row' }, h('span', { class: 'name' }, name),
    h('div', { class: 'states-bars', role: 'img', 'aria-label': `${name}: ${found.map(({ text, from }) => `${text} since ${moment(from)}`).slice(-20).join(', ')}` },
      ...found.map(({ from, to, text, color }) => h('span', { class: 'state', title: `${text}: ${moment(from)} – ${moment(to)}`, style: { left: `${percent(from)}%`, width: `${percent(to) - percent(from)}%`, background: color, color: onBackground(color) } }, text)))));
  const summary = rows.map(({ name, found }) => `${name}: ${found.at(-1)?.text ?? 'no data'}`).join(', ');
  const scale = h('div', { class: 'states-scale', 'aria-hidden': 'true' }, h('span', {}, moment(start)), h('span', {}, moment(end)));
  return { element: h('div', { class: 'states', role: 'group', 'aria-label': panel.title }, ...lines, scale), summary, end: () => {} };
}
