// Links of panels and values, with Grafana's variables filled in.
import { h } from './dom';
import { label } from './fields';
import { context, here, link } from './place';
import type { DataLink, Field, Frame, Value } from './types';

export interface At { frame?: Frame; field?: Field; index?: number; text?: string }

const encodings: Record<string, (text: string) => string> = { percentencode: encodeURIComponent, queryparam: encodeURIComponent, raw: (text) => text };

export function filled(url: string, { frame, field, index = 0, text = '' }: At = {}): string {
  const raw = field?.values[index] ?? null;
  const timeRange = context({ variables: false }).toString();
  const variables = context({ time: false }).toString();
  return url.replace(/\$\{([^}]+)\}|\$(\w+)/g, (whole, braced: string | undefined, bare: string | undefined) => {
    const [, name = '', format = ''] = /^(.*?)(?::(\w+))?$/.exec(braced ?? bare ?? '') ?? [];
    const encode = encodings[format] ?? encodings.raw!;
    const write = (value: Value | undefined): string => encode(value === null || value === undefined ? '' : String(value));
    const column = /^__data\.fields(?:\.(\w+)|\["(.+)"\]|\[(\d+)\])$/.exec(name);
    if (column) {
      const found = column[3] ? frame?.fields[Number(column[3])] : frame?.fields.find((each) => label(each) === (column[1] ?? column[2]));
      return write(found?.values[index]);
    }
    if (name.startsWith('__field.labels.')) return write(field?.labels[name.slice(15)]);
    const fixed: Record<string, () => string> = {
      '__value.raw': () => write(raw), '__value.numeric': () => write(raw), '__value.text': () => encode(text), '__value.time': () => write(frame?.fields[0]?.values[index]),
      '__series.name': () => write(field && label(field)), '__field.name': () => write(field && label(field)),
      __url_time_range: () => timeRange, __all_variables: () => variables, datasource: () => '',
    };
    if (fixed[name]) return fixed[name]();
    const values = here().parameters.getAll(`var-${name}`);
    if (!values.length) return /^\w+$/.test(name) && !name.startsWith('__') && format === 'queryparam' ? '' : whole;
    return format === 'queryparam' ? values.map((value) => `var-${name}=${encodeURIComponent(value)}`).join('&') : write(values.join(','));
  }).replace(/[?&]+$/, '').replace(/&{2,}/g, '&').replace('?&', '?');
}

// An anchor, or plain text where the address must not be followed.
export function anchor({ title, url, targetBlank }: DataLink, text: string | Node, at: At = {}, attributes: Record<string, any> = {}): HTMLElement {
  const to = link(filled(url, at));
  if (!to) return h('span', attributes, text);
  const away = to.external || targetBlank ? { target: '_blank', rel: 'noopener noreferrer' } : {};
  return h('a', { href: to.href, title, ...away, ...attributes }, text);
}
