// Grafana's named colours, in a shade for each theme that can be read as text on its background (contrast 4.5 or more).
const HUES: Record<string, [dark: string, light: string]> = {
  green: ['#73bf69', '#2d7a33'], yellow: ['#fade2a', '#8a6100'], red: ['#ff6b7d', '#c4162a'], blue: ['#6ea8fe', '#1f60c4'],
  orange: ['#ff9830', '#a8500a'], purple: ['#ca95e5', '#8f3bb8'],
};
const PALETTE: [dark: string, light: string][] = [
  ['#73bf69', '#37872d'], ['#f2cc0c', '#996500'], ['#8ab8ff', '#1f60c4'], ['#ff9830', '#b3500b'], ['#ff7383', '#c4162a'], ['#ca95e5', '#8f3bb8'],
  ['#56d6c9', '#0b7a75'], ['#ffa6b0', '#a3475c'], ['#c0d8ff', '#4a6fa5'], ['#c8f2c2', '#5b7f35'], ['#ffcb7d', '#85602b'], ['#dec1f0', '#6b4c8a'],
];

export const isDark = (): boolean => document.documentElement.dataset.theme === 'dark';
const shade = ([dark, light]: [string, string]): string => (isDark() ? dark : light);

export function named(color: string): string {
  if (color === 'text') return isDark() ? '#d5d8df' : '#24292e';
  if (color === 'transparent') return 'transparent';
  const hue = HUES[color.replace(/^(super-light|light|semi-dark|dark)-/, '')];
  return hue ? shade(hue) : color;
}

export const ofPalette = (index: number): string => shade(PALETTE[index % PALETTE.length]!);

// A colour with an opacity, for what is filled.
export function faded(color: string, opacity: number): string {
  const match = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/i.exec(color);
  return match ? `rgba(${match.slice(1).map((part) => parseInt(part, 16)).join(', ')}, ${opacity})` : color;
}

export const onBackground = (color: string): string => {
  const match = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/i.exec(color);
  if (!match) return named('text');
  const [red, green, blue] = match.slice(1).map((part) => parseInt(part, 16)) as [number, number, number];
  return red * 0.299 + green * 0.587 + blue * 0.114 > 140 ? '#111217' : '#ffffff';
};
