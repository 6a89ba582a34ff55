// Formats values in Grafana's units.
import { snapshot } from './data';

type Format = (value: number, decimals?: number) => string;

// As many decimals as show three significant digits, as in Grafana: 0.0123, 1.23, 12.3, 123.
function decimalsFor(value: number): number {
  if (Number.isInteger(value)) return 0;
  return Math.max(0, Math.min(12, 2 - Math.floor(Math.log10(Math.abs(value)))));
}

function plain(value: number, decimals?: number): string {
  return value.toLocaleString('en-US', { useGrouping: false, minimumFractionDigits: decimals ?? 0, maximumFractionDigits: decimals ?? decimalsFor(value) });
}

function scaled(factor: number, suffixes: string[], separator = ' '): Format {
  return (value, decimals) => {
    let index = 0;
    let rest = value;
    while (Math.abs(rest) >= factor && index < suffixes.length - 1) {
      rest /= factor;
      index += 1;
    }
    const suffix = suffixes[index] ?? '';
    return suffix ? `${plain(rest, decimals)}${separator}${suffix}` : plain(rest, decimals);
  };
}

const short = scaled(1000, ['', 'K', 'Mil', 'Bil', 'Tri', 'Quadr', 'Quint']);
const per = (what: string): Format => scaled(1000, ['', 'K', 'M', 'B', 'T'].map((prefix) => `${prefix}${prefix ? ' ' : ''}${what}`));

const LENGTHS: [number, string][] = [[31_536_000, 'year'], [604_800, 'week'], [86_400, 'day'], [3600, 'hour'], [60, 'min'], [1, 's'], [1e-3, 'ms'], [1e-6, 'µs'], [1e-9, 'ns']];
function duration(seconds: number, decimals?: number): string {
  if (seconds === 0) return '0 s';
  const [length, unit] = LENGTHS.find(([each]) => Math.abs(seconds) >= each) ?? [1e-9, 'ns'];
  const value = seconds / length;
  const many = ['year', 'week', 'day', 'hour'].includes(unit) && plain(value, decimals) !== '1' ? 's' : '';
  return `${plain(value, decimals)} ${unit}${many}`;
}

export function ago(milliseconds: number, now = snapshot?.taken ?? Date.now()): string {
  const seconds = (now - milliseconds) / 1000;
  const text = duration(Math.round(Math.abs(seconds)), 0).replace(/\.\d+/, '');
  return seconds >= 0 ? `${text} ago` : `in ${text}`;
}

export const moment = (milliseconds: number): string => new Date(milliseconds).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' });

const FORMATS: Record<string, Format> = {
  none: plain, short, '': short, sishort: short, locale: (value) => value.toLocaleString('en-US'), string: plain,
  percent: (value, decimals) => `${plain(value, decimals)}%`, percentunit: (value, decimals) => `${plain(value * 100, decimals)}%`,
  s: duration, ms: (value, decimals) => duration(value / 1000, decimals), µs: (value, decimals) => duration(value / 1e6, decimals),
  ns: (value, decimals) => duration(value / 1e9, decimals), m: (value, decimals) => duration(value * 60, decimals),
  h: (value, decimals) => duration(value * 3600, decimals), d: (value, decimals) => duration(value * 86_400, decimals),
  dtdurations: duration, dtdurationms: (value, decimals) => duration(value / 1000, decimals), clocks: duration,
  bytes: scaled(1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']), decbytes: scaled(1000, ['B', 'kB', 'MB', 'GB', 'TB', 'PB']),
  binBps: scaled(1024, ['B/s', 'KiB/s', 'MiB/s', 'GiB/s']), Bps: scaled(1000, ['B/s', 'kB/s', 'MB/s', 'GB/s']), bps: scaled(1000, ['b/s', 'kb/s', 'Mb/s', 'Gb/s']),
  reqps: per('req/s'), rps: per('rd/s'), wps: per('wr/s'), ops: per('ops/s'), cps: per('c/s'), iops: per('io/s'), opm: per('ops/m'), cpm: per('c/m'),
  currencyUSD: (value, decimals) => `${value < 0 ? '-' : ''}$${short(Math.abs(value), decimals ?? (Math.abs(value) < 1000 && !Number.isInteger(value) ? Math.max(2, decimalsFor(value)) : undefined)).replace(' ', '')}`,
  currencyEUR: (value, decimals) => `€${short(value, decimals)}`,
  bool: (value) => (value ? 'True' : 'False'), bool_on_off: (value) => (value ? 'On' : 'Off'), bool_yes_no: (value) => (value ? 'Yes' : 'No'),
  dateTimeFromNow: (value) => ago(value), dateTimeAsIso: moment, dateTimeAsSystem: moment,
};

export const isKnown = (unit: string): boolean => unit in FORMATS || /^(suffix|prefix|si|count):/.test(unit);

export function formatted(value: number, unit = '', decimals?: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
  const format = FORMATS[unit];
  if (format) return format(value, decimals);
  const [kind, text] = unit.split(':', 2) as [string, string | undefined];
  if (kind === 'prefix') return `${text}${plain(value, decimals)}`;
  return `${plain(value, decimals)} ${text ?? unit}`;
}
