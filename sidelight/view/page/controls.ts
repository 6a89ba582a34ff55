// The controls above a dashboard: variables, time range and refresh.
import { snapshot } from './data';
import { count, h } from './dom';
import { go, here } from './place';
import { moment } from './units';
import type { Dashboard, Options } from './types';

const ALL = '$__all';
const RANGES: [from: string, to: string, name: string][] = [
  ['now-5m', 'now', 'Last 5 minutes'], ['now-15m', 'now', 'Last 15 minutes'], ['now-30m', 'now', 'Last 30 minutes'], ['now-1h', 'now', 'Last hour'],
  ['now-3h', 'now', 'Last 3 hours'], ['now-6h', 'now', 'Last 6 hours'], ['now-12h', 'now', 'Last 12 hours'], ['now-24h', 'now', 'Last 24 hours'],
  ['now-2d', 'now', 'Last 2 days'], ['now-7d', 'now', 'Last 7 days'], ['now-30d', 'now', 'Last 30 days'], ['now/d', 'now', 'Today'], ['now-1d/d', 'now-1d/d', 'Yesterday'],
  ['now/w', 'now', 'This week'],
];
const EVERY: [seconds: number, name: string][] = [[0, 'Off'], [5, '5 s'], [10, '10 s'], [30, '30 s'], [60, '1 min'], [300, '5 min']];

function change(edit: (parameters: URLSearchParams) => void, options?: { replace: boolean }): void {
  const { path, parameters } = here();
  edit(parameters);
  go(path, parameters, options);
}

export const setRange = (from: string, to: string): void => change((parameters) => { parameters.set('from', from); parameters.set('to', to); });

export function range(dashboard: Dashboard): [string, string] {
  const { parameters } = here();
  return [parameters.get('from') ?? dashboard.time?.from ?? 'now-6h', parameters.get('to') ?? dashboard.time?.to ?? 'now'];
}

const written = (text: string): string => (/^\d+$/.test(text) ? moment(Number(text)) : text);
const UNITS: Record<string, string> = { s: 'second', m: 'minute', h: 'hour', d: 'day', w: 'week', M: 'month', y: 'year' };

function nameOf(from: string, to: string): string {
  const [, number, unit] = (to === 'now' && /^now-(\d+)([smhdwMy])$/.exec(from)) || [];
  return number && unit ? `Last ${count(Number(number), UNITS[unit]!)}` : `${written(from)} to ${written(to)}`;
}

export function timeControl(dashboard: Dashboard): HTMLElement {
  const [from, to] = range(dashboard);
  const known = RANGES.some(([start, end]) => start === from && end === to);
  const select = h('select', { id: 'range', disabled: snapshot },
    ...(known ? [] : [h('option', { value: '', selected: true }, nameOf(from, to))]),
    ...RANGES.map(([start, end, name]) => h('option', { value: `${start} ${end}`, selected: start === from && end === to }, name)));
  select.addEventListener('change', () => { const [start, end] = select.value.split(' '); if (start && end) setRange(start, end); });
  const start = h('input', { name: 'from', value: from, required: true, spellcheck: 'false', autocomplete: 'off' });
  const end = h('input', { name: 'to', value: to, required: true, spellcheck: 'false', autocomplete: 'off' });
  const time = (text: string): string => (/^\s*(now|\d{5,}$)/.test(text) ? text.trim() : Number.isNaN(Date.parse(text)) ? text.trim() : String(Date.parse(text)));
  const form = h('form', { onsubmit: (event: Event) => { event.preventDefault(); setRange(time(start.value), time(end.value)); } },
    h('label', {}, 'From', start), h('label', {}, 'To', end), h('p', {}, 'Such as now-2h, now/d or 2026-03-05 14:00.'), h('button', {}, 'Show'));
  return h('div', { class: 'control' }, h('label', { for: 'range' }, 'Time range'), select,
    !snapshot && h('details', { class: 'menu' }, h('summary', {}, 'Other times'), h('div', { class: 'popup' }, form)));
}

export function refreshControl(seconds: number, refresh: () => void): HTMLElement | null {
  if (snapshot) return null;
  const known = EVERY.some(([each]) => each === seconds) ? EVERY : ([...EVERY, [seconds, `${seconds} s`]] as typeof EVERY);
  const select = h('select', { id: 'refresh' }, ...known.map(([each, name]) => h('option', { value: each, selected: each === seconds }, name)));
  select.addEventListener('change', () => change((parameters) => parameters.set('refresh', select.value), { replace: true }));
  return h('div', { class: 'control' }, h('label', { for: 'refresh' }, 'Refresh every'), select, h('button', { type: 'button', onclick: refresh }, 'Refresh now'));
}

export function variableControl(options: Options): HTMLElement | null {
  if (!options.shown) return null;
  const { name, label, values, several, everything, note } = options;
  const chosen = new Set(options.chosen);
  const text = chosen.has(ALL) ? 'All' : [...chosen].map((value) => value || '(empty)').join(', ') || 'None';
  if (snapshot) return h('div', { class: 'control' }, h('span', {}, `${label}: `), h('b', {}, text));
  const apply = (): void => change((parameters) => { parameters.delete(`var-${name}`); chosen.forEach((value) => parameters.append(`var-${name}`, value)); });
  const choice = (value: string, shown: string): HTMLElement => {
    const input = h('input', { type: several ? 'checkbox' : 'radio', name: `var-${name}`, value, checked: chosen.has(value) });
    input.addEventListener('change', () => {
      if (value === ALL || !several) chosen.clear();
      else chosen.delete(ALL);
      if (input.checked) chosen.add(value);
      else chosen.delete(value);
      if (!chosen.size) chosen.add(everything ? ALL : value);
      apply();
    });
    return h('label', {}, input, shown);
  };
  const list = h('div', { class: 'choices' }, ...values.map((value) => choice(value, value || '(empty)')));
  const filter = h('input', { type: 'search', 'aria-label': `Filter ${label}`, placeholder: 'Filter' });
  filter.addEventListener('input', () => [...list.children].forEach((each) => ((each as HTMLElement).hidden = !each.textContent!.toLowerCase().includes(filter.value.toLowerCase()))));
  return h('details', { class: 'menu control', 'data-variable': name }, h('summary', {}, `${label}: `, h('b', {}, text)),
    h('div', { class: 'popup' }, h('fieldset', {}, h('legend', {}, label), values.length > 8 && filter, everything && choice(ALL, 'All'), list, !values.length && h('p', {}, 'There are no values in this time range.'), note && h('p', {}, note))));
}

// A menu closes with Escape, and when the reader goes elsewhere.
document.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape') return;
  const open = (event.target as Element).closest?.('details[open]') as HTMLDetailsElement | null;
  if (open) { open.open = false; open.querySelector('summary')?.focus(); }
});
document.addEventListener('click', (event) => document.querySelectorAll<HTMLDetailsElement>('details.menu[open], details.about[open]').forEach((each) => { if (!each.contains(event.target as Node)) each.open = false; }));
