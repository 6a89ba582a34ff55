// A dashboard: its controls, its rows, and its panels on Grafana's grid of 24 columns.
import { refreshControl, range, setRange, timeControl, variableControl } from './controls';
import { read, snapshot } from './data';
import { announce, h } from './dom';
import { written } from './fields';
import { anchor } from './links';
import { context, here } from './place';
import { PanelView } from './panel';
import type { Mark } from './cursor';
import type { Context } from './panel';
import type { Annotation, Dashboard, Data, Labels, Options, Panel, Series } from './types';

export interface Page { element: HTMLElement; title: string; end: () => void; redraw: () => void; update?: () => Promise<void> }

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const folded = new Map<string, boolean>();

function seconds(text: string | null | undefined): number {
  const [, number = '0', unit = 's'] = /^(\d+)([smh]?)/.exec(text ?? '') ?? [];
  return Number(number) * ({ s: 1, m: 60, h: 3600 }[unit] ?? 1);
}

function query(dashboard: Dashboard): URLSearchParams {
  const [from, to] = range(dashboard);
  const variables = [...here().parameters].filter(([name]) => name.startsWith('var-') && name !== 'var-datasource');
  return new URLSearchParams([['from', from], ['to', to], ['timezone', zone], ...variables]);
}

// A series of samples becomes one mark for each stretch without a gap.
function marks(annotation: Annotation, answer: Data['answers'][string]): Mark[] {
  const text = (format: string | undefined, labels: Labels): string => (format ?? '').replace(/\{\{\s*(.+?)\s*\}\}/g, (_, label: string) => labels[label] ?? '');
  return ((answer.kind === 'matrix' ? answer.result : []) as Series[]).flatMap(({ metric, values = [] }) => {
    const found: Mark[] = [];
    for (const [at, value] of values) {
      const last = found.at(-1);
      if (Number(value) === 0) continue;
      if (last && at * 1000 - last.to <= answer.step * 1.5) last.to = at * 1000;
      else found.push({ from: at * 1000, to: at * 1000, color: annotation.iconColor, title: text(annotation.titleFormat, metric) || written(metric), text: text(annotation.textFormat, metric), name: annotation.name });
    }
    return found;
  });
}

interface Section { row: Panel | null; panels: Panel[] }

function sections(panels: Panel[]): Section[] {
  const found: Section[] = [];
  for (const panel of panels) {
    if (panel.type === 'row') found.push({ row: panel, panels: [...(panel.panels ?? [])] });
    else (found.at(-1) ?? found[found.push({ row: null, panels: [] }) - 1]!).panels.push(panel);
  }
  return found;
}

export async function board(uid: string): Promise<Page> {
  const dashboard = await read<Dashboard>(`dashboards/${uid}`);
  const views: PanelView[] = [];
  let found: Promise<Mark[]> | null = null;
  const bring = async (): Promise<Mark[]> => {
    const { answers } = await read<Data>(`dashboards/${uid}/annotations`, query(dashboard));
    const failed = Object.values(answers).find(({ error }) => error);
    if (failed) throw new Error(failed.error);
    return dashboard.annotations.list.flatMap((each) => (answers[each.name] ? marks(each, answers[each.name]!) : []));
  };
  const shared: Context = {
    uid, parameters: () => query(dashboard), marks: () => (found ??= bring()), sync: dashboard.graphTooltip ? uid : null,
    zoom: (from, to) => { if (!snapshot) setRange(String(Math.floor(from)), String(Math.ceil(to))); },
  };
  const seen = new IntersectionObserver((entries) => entries.forEach((entry) => views.find((view) => view.element === entry.target)?.show(entry.isIntersecting)), { rootMargin: '200px' });

  const variables = h('div', { class: 'variables' });
  const controls = h('div', { class: 'controls', role: 'group', 'aria-label': 'Variables and time range' }, variables, h('div', { class: 'times' }));
  const body = sections(dashboard.panels).map((section) => drawn(section));
  const links = (dashboard.links ?? []).filter(({ type }) => type === 'link');
  const nav = h('nav', { class: 'links', 'aria-label': 'Links of this dashboard' });
  const element = h('div', { class: 'board' }, h('div', { class: 'heading' }, h('h1', {}, dashboard.title), nav, dashboard.description && h('p', {}, dashboard.description)), controls, ...body);

  function drawn({ row, panels }: Section): HTMLElement {
    const grid = h('div', { class: 'grid', id: row ? `row-${row.id}` : undefined });
    const top = Math.min(...panels.map(({ gridPos }) => gridPos.y));
    for (const panel of [...panels].sort((one, other) => one.gridPos.y - other.gridPos.y || one.gridPos.x - other.gridPos.x)) {
      const view = new PanelView(panel, shared);
      view.element.style.setProperty('--y', String(panel.gridPos.y - top + 1));
      views.push(view);
      grid.append(view.element);
      seen.observe(view.element);
    }
    if (!row) return grid;
    const key = `${uid} ${row.id}`;
    grid.hidden = folded.get(key) ?? row.collapsed ?? false;
    const button = h('button', { type: 'button', 'aria-expanded': String(!grid.hidden), 'aria-controls': grid.id }, row.title, h('small', {}, ` ${panels.length}`));
    button.addEventListener('click', () => {
      grid.hidden = !grid.hidden;
      folded.set(key, grid.hidden);
      button.setAttribute('aria-expanded', String(!grid.hidden));
    });
    return h('section', { class: 'row', 'aria-label': row.title }, h('h2', {}, button), grid);
  }

  let timer = 0;
  function refresh(spoken = false): void {
    found = null;
    views.forEach((view) => view.refresh());
    if (spoken) announce('Refreshed.');
  }
  function schedule(): void {
    clearInterval(timer);
    const every = seconds(here().parameters.get('refresh') ?? dashboard.refresh);
    if (every && !snapshot) timer = window.setInterval(() => { if (!document.hidden) refresh(); }, every * 1000);
    controls.lastElementChild!.replaceChildren(...[timeControl(dashboard), refreshControl(every, () => refresh(true))].filter((each) => each !== null));
  }

  async function showVariables(): Promise<void> {
    const open = document.activeElement?.closest<HTMLElement>('[data-variable]')?.dataset.variable;
    const value = (document.activeElement as HTMLInputElement | null)?.value;
    try {
      const options = await read<Options[]>(`dashboards/${uid}/variables`, query(dashboard));
      // A label that no service has, such as the cluster, leaves nothing to choose.
      const useful = options.filter(({ values, chosen }) => values.length || !chosen.includes('$__all'));
      variables.replaceChildren(...(useful.length ? useful : options).map(variableControl).filter((each) => each !== null));
      const again = open && variables.querySelector<HTMLDetailsElement>(`[data-variable="${CSS.escape(open)}"]`);
      if (again) {
        again.open = true;
        [...again.querySelectorAll('input')].find((input) => input.value === value)?.focus();
      }
    } catch (error) {
      variables.replaceChildren(h('p', { class: 'error', role: 'status' }, (error as Error).message));
    }
  }

  let last = '';
  async function update(): Promise<void> {
    nav.replaceChildren(...links.map((each) => {
      const more = context({ time: each.keepTime ?? false, variables: each.includeVars ?? false }).toString();
      return anchor({ ...each, url: more ? `${each.url}${each.url.includes('?') ? '&' : '?'}${more}` : each.url }, each.title);
    }));
    schedule();
    const now = query(dashboard).toString();
    if (now === last) return;
    last = now;
    refresh();
    await showVariables();
  }
  await update();
  return { element, title: dashboard.title, update, redraw: () => views.forEach((view) => view.redraw()), end: () => { clearInterval(timer); seen.disconnect(); views.forEach((view) => view.end()); } };
}
