// The parts of Grafana's dashboard JSON, and of the server's answers, that the page reads.
export interface ThresholdStep { color: string; value: number | null }
export interface Thresholds { mode: string; steps: ThresholdStep[] }
export interface MappingResult { text?: string; color?: string; index?: number }
export interface Mapping { type: string; options: any }
export interface DataLink { title: string; url: string; targetBlank?: boolean }
export interface FieldConfig {
  unit?: string; decimals?: number; min?: number; max?: number; noValue?: string; displayName?: string;
  color?: { mode: string; fixedColor?: string };
  thresholds?: Thresholds; mappings?: Mapping[]; links?: DataLink[];
  custom: Record<string, any>;
}
export interface Override { matcher: { id: string; options?: any }; properties: { id: string; value?: any }[] }
export interface Target { refId: string; expr: string; format?: string; instant?: boolean; legendFormat?: string }
export interface Transformation { id: string; options: any; disabled?: boolean }
export interface Panel {
  id: number; type: string; title: string; description?: string; collapsed?: boolean; panels?: Panel[];
  gridPos: { x: number; y: number; w: number; h: number };
  fieldConfig?: { defaults: any; overrides: Override[] };
  options?: any; targets?: Target[]; transformations?: Transformation[]; timeFrom?: string; links?: DataLink[];
}
export interface Annotation { name: string; iconColor: string; titleFormat?: string; textFormat?: string; tagKeys?: string }
export interface DashboardLink { title: string; url: string; type: string; keepTime?: boolean; includeVars?: boolean; targetBlank?: boolean }
export interface Dashboard {
  uid: string; title: string; description?: string; panels: Panel[]; links?: DashboardLink[]; refresh?: string;
  graphTooltip?: number; time?: { from: string; to: string }; annotations: { list: (Annotation & { target?: unknown })[] };
}

export type Labels = Record<string, string>;
export type Sample = [number, string];
export interface Series { metric: Labels; value?: Sample; values?: Sample[] }
export interface Answer { expression: string; kind: string; result: any; step: number; error: string; left_out: number }
export interface Window { start: number; end: number }
export interface Data { window: Window; answers: Record<string, Answer> }
export interface Options { name: string; label: string; values: string[]; chosen: string[]; several: boolean; everything: boolean; shown: boolean; note: string }
export interface About { dashboards: { uid: string; title: string; description: string }[]; prometheus: string; version: string; severities: Labels }
export interface AlertInstance { labels: Labels; annotations: Labels; state: string; activeAt: string; value: string }
export interface Alert {
  name: string; state: string; severity: string; group: string; expression: string; annotations: Labels; error: string;
  instances: AlertInstance[]; left_out: number;
}
export interface Service { identity: Labels; observed: boolean; versions: Record<string, number>; up: number; targets: number; alerts: Record<string, number> }

// A column of values with everything that decides how it is shown.
export type Value = number | string | null;
export interface Field { name: string; kind: 'time' | 'number' | 'string'; values: Value[]; labels: Labels; refId: string; config: FieldConfig }
export interface Frame { refId: string; fields: Field[] }
