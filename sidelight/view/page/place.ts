// Where the reader is: the page, the time range and the variables, all in the address so that it can be shared.
import { snapshot } from './data';

export interface Place { path: string; parameters: URLSearchParams }

const changed: (() => void)[] = [];

export function here(): Place {
  const text = snapshot ? location.hash.slice(1) || '/' : location.pathname + location.search;
  const [path = '/', query = ''] = text.split('?', 2);
  return { path, parameters: new URLSearchParams(query) };
}

export const href = (path: string, parameters: URLSearchParams = new URLSearchParams()): string => {
  const query = parameters.toString();
  return `${snapshot ? '#' : ''}${path}${query ? `?${query}` : ''}`;
};

export function go(path: string, parameters: URLSearchParams = new URLSearchParams(), { replace = false } = {}): void {
  const to = href(path, parameters);
  if (replace) history.replaceState(null, '', to);
  else history.pushState(null, '', to);
  changed.forEach((call) => call());
}

export function onMove(call: () => void): void {
  changed.push(call);
  addEventListener('popstate', call);
}

// An address of the dashboard's JSON as a link of this page; null if it must not be followed.
export function link(url: string): { href: string; external: boolean } | null {
  if (/^https?:\/\//i.test(url)) return { href: url, external: true };
  if (!url.startsWith('/') || url.startsWith('//')) return null;
  const [path = '/', query = ''] = url.split('?', 2);
  return { href: href(path === '/alerting/list' ? '/alerts' : path, new URLSearchParams(query)), external: false };
}

// What every link between dashboards carries: time range and variables.
export function context({ time = true, variables = true } = {}): URLSearchParams {
  const kept = [...here().parameters].filter(([name]) => (time && ['from', 'to', 'refresh'].includes(name)) || (variables && name.startsWith('var-')));
  return new URLSearchParams(kept);
}

document.addEventListener('click', (event) => {
  const anchor = (event.target as Element).closest?.('a');
  if (!anchor || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const to = anchor.getAttribute('href') ?? '';
  if (to === '#main') {
    event.preventDefault();
    document.getElementById('main')?.focus();
  }
  if (anchor.target || !(snapshot ? to.startsWith('#/') : to.startsWith('/'))) return;
  event.preventDefault();
  const [path = '/', query = ''] = to.replace(/^#/, '').split('?', 2);
  go(path, new URLSearchParams(query));
  scrollTo(0, 0);
  document.getElementById('main')?.focus({ preventScroll: true });
});
