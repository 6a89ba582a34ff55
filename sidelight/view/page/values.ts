// The values of a panel as a table: for screen readers, and for anybody who wants the numbers.
import { h } from './dom';
import { label, shown } from './fields';
import { moment } from './units';
import type { Field, Frame } from './types';

const MOST_LINES = 300;

export function values(title: string, frames: Frame[]): HTMLElement {
  const times = [...new Set(frames.flatMap((frame) => frame.fields.filter(({ kind }) => kind === 'time').flatMap(({ values: each }) => each as number[])))].sort((one, other) => other - one);
  const columns = frames.flatMap((frame) => {
    const time = frame.fields.find(({ kind }) => kind === 'time');
    const places = new Map(time?.values.map((at, index) => [at as number, index]));
    return frame.fields.filter(({ kind }) => kind === 'number').map((field) => ({ field, places }));
  });
  const cell = (field: Field, index: number | undefined): HTMLElement => {
    const value = index === undefined ? null : field.values[index] ?? null;
    return h('td', { class: 'number', 'data-value': value === null ? undefined : String(value) }, value === null ? '–' : shown(value, field.config).text);
  };
  const lines = times.slice(0, MOST_LINES).map((at) => h('tr', { 'data-time': at }, h('th', { scope: 'row' }, moment(at)), ...columns.map(({ field, places }) => cell(field, places.get(at)))));
  return h('div', { class: 'scroll values', tabindex: 0, role: 'region', 'aria-label': `Values of ${title}` },
    h('table', {},
      h('caption', {}, times.length > MOST_LINES ? `The last ${MOST_LINES} of ${times.length} points in time.` : `${times.length} points in time.`),
      h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'Time'), ...columns.map(({ field }) => h('th', { scope: 'col', class: 'number' }, label(field))))),
      h('tbody', {}, ...lines)));
}
