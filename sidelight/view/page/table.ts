// Draws a table that can be sorted by its headings.
import { faded, onBackground } from './colors';
import { h } from './dom';
import { label, shown } from './fields';
import { anchor } from './links';
import { compare } from './transform';
import { moment } from './units';
import type { Drawn } from './graph';
import type { Field, Frame, Panel } from './types';

const MOST_LINES = 500;

function cell(frame: Frame, field: Field, index: number): HTMLElement {
  const value = field.values[index] ?? null;
  const { text, color } = field.kind === 'time' && typeof value === 'number' ? { text: moment(value), color: null } : shown(value, field.config);
  const type: string = field.config.custom.cellOptions?.type ?? 'auto';
  const style = !color ? {} : type === 'color-text' ? { color } : type === 'color-background' ? { background: color, color: onBackground(color) } : {};
  const link = value === null ? undefined : field.config.links?.[0];
  const content = link ? anchor(link, text, { frame, field, index, text }) : text;
  if (type === 'gauge' && typeof value === 'number' && color) {
    const { min = 0, max = Math.max(...(field.values as number[]).filter(Number.isFinite), 0) } = field.config;
    const share = Math.max(0, Math.min(1, (value - min) / (max - min || 1))) * 100;
    Object.assign(style, { background: `linear-gradient(to right, ${faded(color, 0.35)} ${share}%, transparent ${share}%)` });
  }
  return h('td', { class: field.kind === 'number' ? 'number' : undefined, 'data-value': field.kind === 'number' && value !== null ? String(value) : undefined, style }, content);
}

export function table(panel: Panel, frames: Frame[], report: (text: string) => void): Drawn {
  const frame = frames[panel.options?.frameIndex ?? 0] ?? frames[0] ?? { refId: '', fields: [] };
  if (frames.length > 1) report(`The first of ${frames.length} tables is shown.`);
  const fields = frame.fields.filter(({ config }) => !config.custom.hidden && !config.custom.hideFrom?.viz);
  const length = fields[0]?.values.length ?? 0;
  let [{ displayName = '', desc = false } = {}]: { displayName?: string; desc?: boolean }[] = panel.options?.sortBy ?? [];
  const body = h('tbody');
  const headings = fields.map((field) => h('th', { scope: 'col', class: field.kind === 'number' ? 'number' : undefined },
    h('button', { type: 'button', onclick: () => { desc = displayName === label(field) ? !desc : field.kind === 'number'; displayName = label(field); fill(); } }, label(field))));

  function fill(): void {
    const by = fields.find((field) => label(field) === displayName);
    const order = [...Array(length).keys()];
    if (by) order.sort((one, other) => compare(by.values[one] ?? null, by.values[other] ?? null) * (desc ? -1 : 1));
    headings.forEach((heading, index) => {
      if (fields[index] === by) heading.setAttribute('aria-sort', desc ? 'descending' : 'ascending');
      else heading.removeAttribute('aria-sort');
    });
    body.replaceChildren(...order.slice(0, MOST_LINES).map((index) => h('tr', {}, ...fields.map((field) => cell(frame, field, index)))));
  }

  if (length > MOST_LINES) report(`${MOST_LINES} of ${length} lines are shown.`);
  fill();
  const element = h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': panel.title }, h('table', {}, h('thead', {}, h('tr', {}, ...headings)), body));
  return { element, end: () => {}, summary: `${length} lines` };
}
