// What the pointer and the arrow keys do on a plot: a tooltip, values read aloud, and zoom.
import type uPlot from 'uplot';
import { named } from './colors';
import { announce, h } from './dom';
import { moment } from './units';

export interface Mark { from: number; to: number; color: string; title: string; text: string; name: string }
export interface Row { name: string; color: string | null; text: string }

const MOST_ROWS = 20;

export interface Cursor { hooks: uPlot.Hooks.Arrays; listen: (u: uPlot) => void }

// Reads with `read` what is at a place in `times`; `zoom` gets milliseconds.
export function cursor(plot: HTMLElement, times: number[], read: (index: number) => { rows: Row[]; marks: Mark[] }, zoom: (from: number, to: number) => void): Cursor {
  const box = h('div', { class: 'tooltip', hidden: true, 'aria-hidden': 'true' });
  plot.append(box);
  let byKeys = false;

  function show(left: number, top: number, index: number): void {
    const { rows, marks } = read(index);
    const more = rows.length > MOST_ROWS ? [{ name: `${rows.length - MOST_ROWS} more`, color: null, text: '' }] : [];
    box.replaceChildren(
      h('strong', {}, moment(times[index]! * 1000)),
      ...[...rows.slice(0, MOST_ROWS), ...more].map(({ name, color, text }) => h('div', { class: 'line' }, h('i', { class: 'key', style: { background: color ?? 'transparent' } }), h('span', {}, name), h('b', {}, text))),
      ...marks.map(({ color, title, text }) => h('div', { class: 'line' }, h('i', { class: 'key round', style: { background: named(color) } }), h('span', {}, [title, text].filter(Boolean).join(': ')))),
    );
    box.hidden = false;
    const x = left + box.offsetWidth + 16 > plot.clientWidth ? Math.max(0, left - box.offsetWidth - 12) : left + 12;
    box.style.setProperty('transform', `translate(${x}px, ${Math.max(0, Math.min(top, plot.clientHeight - box.offsetHeight))}px)`);
  }

  const hooks: uPlot.Hooks.Arrays = {
    setSelect: [(u) => {
      if (u.select.width < 4) return;
      zoom(u.posToVal(u.select.left, 'x') * 1000, u.posToVal(u.select.left + u.select.width, 'x') * 1000);
      u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    }],
    setCursor: [(u) => {
      const { idx, left = -1, top = 0 } = u.cursor;
      // Other graphs of the dashboard share the cursor, but only one has a tooltip.
      if (idx === null || idx === undefined || left < 0 || !(byKeys || plot.matches(':hover'))) box.hidden = true;
      else show(left + u.over.offsetLeft, top, idx);
    }],
  };

  function step(u: uPlot, by: number): void {
    if (!times.length) return;
    byKeys = true;
    const index = Math.max(0, Math.min(times.length - 1, (u.cursor.idx ?? (by > 0 ? -1 : times.length)) + by));
    u.setCursor({ left: u.valToPos(times[index]!, 'x'), top: u.over.clientHeight / 3 });
    const { rows, marks } = read(index);
    announce([moment(times[index]! * 1000), ...rows.map(({ name, text }) => `${name}: ${text}`), ...marks.map(({ title }) => title)].join('. '));
  }

  function listen(u: uPlot): void {
    const leave = (): void => { byKeys = false; u.setCursor({ left: -10, top: -10 }); };
    plot.addEventListener('pointermove', () => { byKeys = false; });
    plot.addEventListener('blur', leave);
    plot.addEventListener('keydown', (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -1e9, End: 1e9 }[event.key];
      if (by !== undefined) step(u, by);
      else if (event.key === 'Escape') leave();
      else return;
      event.preventDefault();
    });
  }
  return { hooks, listen };
}
