// One panel: its frame, its data, and a text if there is none.
import { read } from './data';
import { count, h } from './dom';
import { configured, frames } from './fields';
import { graph } from './graph';
import { heatmap } from './heatmap';
import { anchor } from './links';
import { bars, gauge, stat } from './single';
import { states } from './states';
import { table } from './table';
import { transformed } from './transform';
import { isKnown } from './units';
import { values } from './values';
import type { Mark } from './cursor';
import type { Drawing, Drawn } from './graph';
import type { Data, Frame, Panel } from './types';

export interface Context {
  uid: string;
  parameters: () => URLSearchParams;
  marks: () => Promise<Mark[]>;
  sync: string | null;
  zoom: (from: number, to: number) => void;
}

const DRAWN: Record<string, (drawing: Drawing, report: (text: string) => void) => Drawn> = {
  timeseries: graph, heatmap, 'state-timeline': states, 'status-history': states,
  stat: ({ panel, frames: made }) => stat(panel, made), gauge: ({ panel, frames: made }) => gauge(panel, made),
  bargauge: ({ panel, frames: made }) => bars(panel, made), table: ({ panel, frames: made }, report) => table(panel, made, report),
};
const TODAY: Record<string, string> = { 'now/d': 'today', 'now/w': 'this week', 'now/M': 'this month', 'now/y': 'this year' };

const isEmpty = (made: Frame[]): boolean => made.every((frame) => frame.fields.every(({ values: each }) => each.length === 0));

export class PanelView {
  readonly element: HTMLElement;
  private readonly body = h('div', { class: 'body' });
  private readonly notes = h('ul', { class: 'notes', hidden: true });
  private readonly queries = h('div', { class: 'queries' });
  private readonly toggle: HTMLButtonElement;
  private readonly hidden = new Set<string>();
  private drawn: Drawn | null = null;
  private data: Data | null = null;
  private request: AbortController | null = null;
  private stale = true;
  private visible = false;

  constructor(private readonly panel: Panel, private readonly context: Context) {
    const { id, type, title, description, gridPos, timeFrom, links = [] } = panel;
    this.toggle = h('button', { type: 'button', 'aria-pressed': 'false', onclick: () => this.switch() }, 'Show as a table of values');
    const since = timeFrom && h('span', { class: 'since' }, TODAY[timeFrom] ?? `last ${timeFrom}`);
    const about = h('details', { class: 'about' }, h('summary', { 'aria-label': `About ${title}`, title: 'Description, values and queries' }, 'i'),
      h('div', { class: 'popup' }, description && h('p', {}, description), timeFrom && h('p', {}, `Time range: ${TODAY[timeFrom] ?? `last ${timeFrom}`}.`), type !== 'table' && h('p', {}, this.toggle), links.length ? h('p', {}, ...links.map((link) => anchor(link, link.title))) : null, this.queries));
    this.element = h('section', {
      class: `panel kind-${type}`, 'aria-labelledby': `title-${id}`, 'data-panel': id, 'data-state': 'waiting',
      style: { '--x': gridPos.x + 1, '--w': gridPos.w, '--h': gridPos.h },
    }, h('header', {}, h('h3', { id: `title-${id}`, title }, title), since, about), this.notes, this.body);
  }

  get top(): number { return this.panel.gridPos.y; }

  show(visible: boolean): void {
    this.visible = visible;
    if (visible && this.stale) void this.load();
  }

  refresh(): void {
    this.stale = true;
    if (this.visible) void this.load();
  }

  redraw(): void {
    if (this.data) void this.draw();
  }

  end(): void {
    this.request?.abort();
    this.drawn?.end();
  }

  private async load(): Promise<void> {
    this.stale = false;
    this.request?.abort();
    const request = (this.request = new AbortController());
    const parameters = this.context.parameters();
    parameters.set('points', String(Math.max(100, Math.min(2000, Math.round(this.element.clientWidth || 600)))));
    this.element.setAttribute('aria-busy', 'true');
    if (!this.data) this.element.dataset.state = 'loading';
    try {
      this.data = await read<Data>(`dashboards/${this.context.uid}/panels/${this.panel.id}`, parameters, request.signal);
      await this.draw();
    } catch (error) {
      if (request.signal.aborted) return;
      this.data = null;
      this.fail((error as Error).message);
    }
    this.element.removeAttribute('aria-busy');
  }

  private fail(sentence: string): void {
    this.drawn?.end();
    this.drawn = null;
    this.report([]);
    this.body.replaceChildren(h('p', { class: 'error', role: 'status' }, sentence));
    this.element.dataset.state = 'error';
  }

  private async draw(): Promise<void> {
    const { answers, window } = this.data!;
    const found: string[] = [];
    const report = (text: string): void => { if (!found.includes(text)) found.push(text); };
    const all = Object.values(answers);
    this.queries.replaceChildren(...all.map(({ expression }) => h('pre', { tabindex: 0 }, expression)));
    const faults = all.map(({ error }) => error).filter(Boolean);
    if (faults.length && faults.length === all.length) return this.fail(faults[0]!);
    faults.forEach(report);
    for (const { left_out: left } of all) if (left) report(`${count(left, 'more series is', 'more series are')} left out; choose fewer with the variables above.`);
    const unit: string = this.panel.fieldConfig?.defaults?.unit ?? '';
    if (!isKnown(unit)) report(`The unit ${unit} is not known here; values are shown as plain numbers.`);

    const marks = this.panel.type === 'timeseries' ? await this.context.marks().catch((error: Error) => (report(`Annotations are missing: ${error.message}`), [])) : [];
    const made = configured(this.panel, transformed(frames(this.panel, answers), this.panel.transformations, report));
    const focus = this.focused();
    this.drawn?.end();
    this.drawn = null;
    const asValues = this.toggle.getAttribute('aria-pressed') === 'true';
    const kind = DRAWN[this.panel.type];
    if (this.panel.type === 'text') this.body.replaceChildren(h('p', { class: 'prose' }, this.panel.options?.content ?? ''));
    else if (isEmpty(made)) this.body.replaceChildren(h('p', { class: 'none' }, this.panel.fieldConfig?.defaults?.noValue ?? 'no data'));
    else if (asValues || !kind) this.body.replaceChildren(values(this.panel.title, made));
    else {
      this.drawn = kind({ panel: this.panel, frames: made, window, marks, sync: this.context.sync, hidden: this.hidden, zoom: this.context.zoom }, report);
      this.body.replaceChildren(this.drawn.element);
    }
    if (!kind && this.panel.type !== 'text') report(`Panels of the type ${this.panel.type} are not drawn here; these are its values.`);
    this.element.dataset.state = isEmpty(made) ? 'empty' : 'ready';
    this.report(found);
    focus();
  }

  // Redrawing must not take the focus away from the reader.
  private focused(): () => void {
    const those = (): HTMLElement[] => [...this.body.querySelectorAll<HTMLElement>('button, a, [tabindex]')];
    const index = those().indexOf(document.activeElement as HTMLElement);
    return () => { if (index >= 0) those()[index]?.focus({ preventScroll: true }); };
  }

  private report(sentences: string[]): void {
    this.notes.replaceChildren(...sentences.map((sentence) => h('li', {}, sentence)));
    this.notes.hidden = !sentences.length;
  }

  private switch(): void {
    const on = this.toggle.getAttribute('aria-pressed') !== 'true';
    this.toggle.setAttribute('aria-pressed', String(on));
    if (this.data) void this.draw();
  }
}
