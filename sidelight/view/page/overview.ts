// The pages of alerts and of services.
import { read, snapshot } from './data';
import { count, h } from './dom';
import { written } from './fields';
import { href, link } from './place';
import { ago, formatted, moment } from './units';
import type { Page } from './board';
import type { About, Alert, AlertInstance, Labels, Service } from './types';

const EVERY = 15; // seconds

function live(title: string, draw: () => Promise<Node[]>): Page {
  const element = h('div', { class: 'overview' });
  const update = async (): Promise<void> => {
    const open = [...element.querySelectorAll<HTMLDetailsElement>('details[open]')].map((each) => each.dataset.key);
    const focus = [...element.querySelectorAll<HTMLElement>('a, button, summary, [tabindex]')].indexOf(document.activeElement as HTMLElement);
    try {
      element.replaceChildren(h('h1', {}, title), ...(await draw()));
    } catch (error) {
      element.replaceChildren(h('h1', {}, title), h('p', { class: 'error', role: 'status' }, (error as Error).message));
    }
    element.querySelectorAll<HTMLDetailsElement>('details').forEach((each) => { if (open.includes(each.dataset.key)) each.open = true; });
    if (focus >= 0) element.querySelectorAll<HTMLElement>('a, button, summary, [tabindex]')[focus]?.focus({ preventScroll: true });
  };
  void update();
  const timer = snapshot ? 0 : window.setInterval(() => { if (!document.hidden) void update(); }, EVERY * 1000);
  return { element, title, end: () => clearInterval(timer), redraw: () => {} };
}

// What a severity means: critical, warning, info or none. The settings name the severities of Sidelight's rules; other rules may have others.
const meaning = ({ severities }: About, severity: string): string => severities[severity] ?? severity;

const badge = (text: string, kind: string): HTMLElement => h('span', { class: `badge ${kind}` }, text);

// The dashboard of an alert is in the Grafana of its annotation, and here.
function local(url: string): string | null {
  const path = /\/d\/[^?#]+(\?[^#]*)?/.exec(url)?.[0];
  return path ? link(path.replace(/&?var-datasource=[^&]*/, ''))?.href ?? null : null;
}

function instances({ instances: found, left_out: left, name }: Alert): HTMLElement | null {
  if (!found.length) return null;
  const line = ({ labels, annotations, state, activeAt, value }: AlertInstance): HTMLElement => {
    const rest: Labels = Object.fromEntries(Object.entries(labels).filter(([key]) => !['alertname', 'severity'].includes(key)));
    const at = Date.parse(activeAt);
    return h('tr', {}, h('td', {}, badge(state, state)), h('td', {}, written(rest) || '–'), h('td', { title: moment(at) }, ago(at)), h('td', { class: 'number' }, formatted(Number(value), 'short')), h('td', {}, annotations.description ?? annotations.summary ?? ''));
  };
  return h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': `Instances of ${name}` }, h('table', {},
    h('thead', {}, h('tr', {}, ...['State', 'Labels', 'Since'].map((text) => h('th', { scope: 'col' }, text)), h('th', { scope: 'col', class: 'number' }, 'Value'), h('th', { scope: 'col' }, 'Description'))),
    h('tbody', {}, ...found.map(line))), left ? h('p', {}, `${count(left, 'more instance is', 'more instances are')} not listed.`) : null);
}

function card(about: About, alert: Alert): HTMLElement {
  const { name, state, severity, group, expression, annotations, error } = alert;
  const rendered = alert.instances[0]?.annotations ?? annotations;
  const runbook = rendered.runbook_url ? link(rendered.runbook_url) : null;
  const dashboard = rendered.dashboard_url && alert.instances.length ? local(rendered.dashboard_url) : null;
  return h('article', { class: `alert ${state}`, 'data-alert': name, 'data-severity': meaning(about, severity) },
    h('h3', {}, name, ' ', state === 'inactive' ? null : badge(state, state), severity ? badge(severity, `severity-${meaning(about, severity)}`) : null),
    alert.instances.length > 0 && rendered.summary && h('p', {}, rendered.summary),
    error && h('p', { class: 'error' }, `The last evaluation failed: ${error}`),
    h('p', { class: 'links' }, runbook && h('a', { href: runbook.href, target: '_blank', rel: 'noopener noreferrer' }, `Runbook of ${name}`), dashboard && h('a', { href: dashboard }, 'Dashboard')),
    instances(alert),
    h('details', { 'data-key': `${group} ${name} ${severity}` }, h('summary', {}, 'Expression'), h('pre', { tabindex: 0 }, expression)));
}

export const alerts = (about: About): Page => live('Alerts', async () => {
  const found = await read<Alert[]>('alerts');
  if (!found.length) return [h('p', {}, 'This Prometheus has no alert rules. Load alerts/generated/rules.yaml, which `sidelight build` writes.')];
  const of = (...states: string[]): Alert[] => found.filter(({ state }) => states.includes(state));
  const part = (title: string, those: Alert[]): HTMLElement | null => (those.length ? h('section', {}, h('h2', {}, title), ...those.map((each) => card(about, each))) : null);
  const [firing, pending, rest] = [of('firing'), of('pending'), of('inactive', 'unknown')];
  return [
    h('p', { class: 'sum', role: 'status' }, `${count(firing.length, 'rule fires', 'rules fire')}, ${count(pending.length, 'is pending', 'are pending')}, ${count(rest.length, 'is inactive', 'are inactive')}.`),
    ...[part('Firing', firing), part('Pending', pending), part('Inactive', rest)].filter((each) => each !== null),
  ];
});

export const services = (about: About): Page => live('Services', async () => {
  const found = await read<Service[]>('services');
  const operations = about.dashboards.find(({ uid }) => uid.endsWith('operations')) ?? about.dashboards[0];
  const name = (identity: Labels): Node => {
    const text = identity.job ?? '(no job)';
    const others = Object.entries(identity).filter(([key]) => key !== 'job').map(([key, value]) => `${key}=${value}`).join(', ');
    const anchor = identity.job && operations ? h('a', { href: href(`/d/${operations.uid}`, new URLSearchParams(Object.entries(identity).map(([label, value]) => [`var-${label}`, value]))) }, text) : text;
    return h('span', {}, anchor, others && h('small', {}, ` ${others}`));
  };
  const line = ({ identity, versions, up, targets, alerts: firing }: Service): HTMLElement => {
    const severities = Object.entries(firing).map(([severity, number]) => badge(`${number} ${severity}`, `severity-${meaning(about, severity)}`));
    return h('tr', { 'data-job': identity.job }, h('th', { scope: 'row' }, name(identity)), h('td', {}, badge(`${up} of ${targets} up`, up === targets ? 'inactive' : 'firing')),
      h('td', {}, Object.entries(versions).map(([version, number]) => `${version || 'unknown'} (${number})`).join(', ') || '–'), h('td', {}, ...(severities.length ? severities : ['none'])));
  };
  const listed = (those: Service[]): HTMLElement => h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Services' }, h('table', {},
    h('thead', {}, h('tr', {}, ...['Service', 'Instances', 'Versions', 'Alerts firing'].map((text) => h('th', { scope: 'col' }, text)))), h('tbody', {}, ...those.map(line))));
  const observed = found.filter((service) => service.observed);
  const others = found.filter((service) => !service.observed);
  return [
    h('p', { class: 'sum', role: 'status' }, `${count(observed.length, 'service exports', 'services export')} target_info, as services with Sidelight or OpenTelemetry do.`),
    ...(observed.length ? [listed(observed)] : []),
    ...(others.length ? [h('h2', {}, 'Scraped, without target_info'), listed(others)] : []),
  ];
});
