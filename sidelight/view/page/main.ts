// Starts the page and shows what its address asks for.
import { board } from './board';
import { read, snapshot } from './data';
import { announce, h } from './dom';
import { alerts, services } from './overview';
import { go, here, href, onMove } from './place';
import { moment } from './units';
import type { Page } from './board';
import type { About } from './types';

const main = document.getElementById('main')!;
let page: Page | null = null;
let shown = '';

// --- Light and dark ---------------------------------------------------------------------------------------------------

const dark = matchMedia('(prefers-color-scheme: dark)');
const stored = (): string | null => { try { return localStorage.getItem('theme'); } catch { return null; } };

function paint(): void {
  const wanted = new URLSearchParams(here().parameters).get('theme') ?? stored();
  document.documentElement.dataset.theme = wanted === 'light' || wanted === 'dark' ? wanted : dark.matches ? 'dark' : 'light';
  page?.redraw();
}

function themeButton(): HTMLElement {
  const button = h('button', { type: 'button', class: 'theme' }, 'Light or dark');
  button.addEventListener('click', () => {
    const next = document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark';
    try { localStorage.setItem('theme', next); } catch { /* it then lasts as long as the page */ }
    document.documentElement.dataset.theme = next;
    page?.redraw();
    announce(`The page is ${next}.`);
  });
  return button;
}

// --- Navigation -------------------------------------------------------------------------------------------------------

function header(about: About): void {
  const entries = [...about.dashboards.map(({ uid, title }) => [`/d/${uid}`, title] as const), ['/alerts', 'Alerts'] as const, ['/services', 'Services'] as const];
  const nav = h('nav', { 'aria-label': 'Pages' }, ...entries.map(([path, title]) => h('a', { href: href(path), 'data-path': path }, title)));
  const source = snapshot ? `Snapshot of ${moment(snapshot.taken)} from ${about.prometheus}` : about.prometheus;
  document.querySelector('body > header')!.append(h('strong', {}, 'Sidelight'), nav, h('span', { class: 'source', title: 'The Prometheus that this page reads' }, source), themeButton());
}

async function made(path: string, about: About): Promise<Page> {
  const [, kind, uid] = path.split('/');
  if (kind === 'd' && uid) return board(decodeURIComponent(uid));
  if (kind === 'alerts' || kind === 'alerting') return alerts(about);
  if (kind === 'services') return services(about);
  throw new Error(`There is no page ${path}.`);
}

async function show(about: About): Promise<void> {
  const { path, parameters } = here();
  if (path === '/') return go(`/d/${about.dashboards[0]!.uid}`, parameters, { replace: true });
  document.querySelectorAll<HTMLAnchorElement>('body > header nav a').forEach((each) => {
    if (each.dataset.path === path) each.setAttribute('aria-current', 'page');
    else each.removeAttribute('aria-current');
  });
  if (path === shown) return page?.update?.();
  shown = path;
  page?.end();
  page = null;
  main.replaceChildren(h('p', { class: 'none' }, 'Loading …'));
  try {
    const next = await made(path, about);
    if (shown !== path) return next.end();
    page = next;
    main.replaceChildren(next.element);
    document.title = `${next.title} – Sidelight`;
    announce(`${next.title} is shown.`);
  } catch (error) {
    main.replaceChildren(h('h1', {}, 'Not shown'), h('p', { class: 'error' }, (error as Error).message));
  }
}

async function begin(): Promise<void> {
  paint();
  dark.addEventListener('change', paint);
  try {
    const about = await read<About>('dashboards');
    header(about);
    onMove(() => void show(about));
    await show(about);
  } catch (error) {
    main.replaceChildren(h('h1', {}, 'Not shown'), h('p', { class: 'error' }, (error as Error).message));
  }
}

void begin();
