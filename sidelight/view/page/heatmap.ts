// Draws a heatmap: one row for each bucket, darker where more was counted.
import uPlot from 'uplot';
import { isDark } from './colors';
import { cursor } from './cursor';
import { h } from './dom';
import { number } from './fields';
import { aligned, axes, sized } from './graph';
import { formatted } from './units';
import type { Row } from './cursor';
import type { Drawing, Drawn } from './graph';

const SHADES = { dark: [[48, 30, 16], [255, 152, 48]], light: [[253, 236, 217], [140, 45, 4]] } as const;

function shade(share: number): string {
  const [from, to] = SHADES[isDark() ? 'dark' : 'light'];
  return `rgb(${from.map((part, index) => Math.round(part + (to[index]! - part) * share)).join(', ')})`;
}

export function heatmap({ panel, frames, window, sync, zoom }: Drawing): Drawn {
  const pairs = frames.map(({ fields }) => ({ times: fields[0]!, values: fields[1]! }));
  const [times, columns] = aligned(pairs);
  const unit: string = panel.options?.yAxis?.unit ?? panel.fieldConfig?.defaults?.unit ?? '';
  const names = pairs.map(({ values }) => { const edge = values.labels.le; return edge === undefined ? values.name : edge === '+Inf' ? '+Inf' : formatted(number(edge), unit); });
  const least: number = panel.options?.filterValues?.le ?? 1e-9;
  const most = columns.reduce((found, column) => Math.max(found, ...column.map((value) => value ?? 0)), 0);
  const exponent: number = panel.options?.color?.scale === 'exponential' ? panel.options.color.exponent ?? 0.5 : 1;
  const step = times.length > 1 ? Math.min(...times.slice(1).map((time, index) => time - times[index]!)) : 1;
  const plot = h('div', { class: 'plot', tabindex: 0, role: 'group', 'aria-roledescription': 'heatmap' });
  const rows = (index: number): Row[] => columns
    .map((column, row) => ({ name: `≤ ${names[row]}`, value: column[index] ?? 0 })).filter(({ value }) => value > least).reverse()
    .map(({ name, value }) => ({ name, color: shade((value / most) ** exponent), text: formatted(value, 'short') }));
  const pointer = cursor(plot, times, (index) => ({ rows: rows(index), marks: [] }), zoom);
  const [x, y] = axes(undefined) as [uPlot.Axis, uPlot.Axis];
  const u = new uPlot({
    width: 300, height: 150, padding: [8, 8, 0, 0], legend: { show: false },
    series: [{}, ...columns.map(() => ({ stroke: 'transparent', points: { show: false } }))],
    axes: [x, { ...y, grid: { show: false }, splits: () => names.map((_, index) => index + 1), values: (each) => {
      const every = Math.max(1, Math.ceil((names.length * 14) / (each.bbox.height / devicePixelRatio)));
      return names.map((name, index) => ((names.length - 1 - index) % every ? '' : name));
    } }],
    scales: { x: { time: true, range: () => [window.start, window.end] }, y: { range: () => [0, Math.max(1, names.length)] } },
    cursor: { drag: { x: true, y: false, setScale: false }, points: { show: false }, sync: sync ? { key: sync, scales: ['x', null] } : undefined },
    hooks: {
      ...pointer.hooks,
      draw: [(each) => {
        const { ctx, bbox } = each;
        ctx.save();
        ctx.beginPath();
        ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
        ctx.clip();
        columns.forEach((column, row) => {
          const top = each.valToPos(row + 1, 'y', true);
          const height = each.valToPos(row, 'y', true) - top;
          column.forEach((value, index) => {
            if (typeof value !== 'number' || value <= least) return;
            const left = each.valToPos(times[index]! - step, 'x', true);
            ctx.fillStyle = shade((value / most) ** exponent);
            ctx.fillRect(left, top, Math.max(1, each.valToPos(times[index]!, 'x', true) - left - 1), Math.max(1, height - 1));
          });
        });
        ctx.restore();
      }],
    },
  }, [times, ...columns] as uPlot.AlignedData, plot);
  pointer.listen(u);
  const summary = `${names.length} buckets, at most ${formatted(most, 'short')} in one cell.`;
  plot.setAttribute('aria-label', `${panel.title}. ${summary} Use the arrow keys to read single values.`);
  return { element: h('div', { class: 'graph' }, plot), summary, end: ((stop) => () => { stop(); u.destroy(); })(sized(plot, u, () => plot.clientHeight)) };
}
