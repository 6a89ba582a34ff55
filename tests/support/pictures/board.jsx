// Draws a dashboard with Grafana's own components. What `window.given` holds is described in drawing.py.
import {
  FieldConfigOptionsRegistry, FieldType, ThemeContext, VizOrientation, applyFieldOverrides, createTheme, dateTime,
  getDisplayValueAlignmentFactors, getFieldDisplayValues, identityOverrideProcessor, rangeUtil, standardFieldConfigEditorRegistry,
  standardTransformers, standardTransformersRegistry, transformDataFrame,
} from '@grafana/data';
import { BarGauge, BigValue, GlobalStyles, Icon, PanelChrome, Table, TimeSeries, VizRepeater } from '@grafana/ui';
import { createRoot } from 'react-dom/client';

const { dashboard, answers, from, to } = window.given;
const theme = createTheme({ colors: { mode: 'dark' } });
const timeZone = 'utc';
const timeRange = { from: dateTime(from * 1000), to: dateTime(to * 1000), raw: { from: 'now-1h', to: 'now' } };
const replaceVariables = (text) => text;

// Grafana's grid: 24 columns, and pixels.
const [COLUMNS, ROW, GAP, EDGE] = [24, 30, 8, 16];
const SETTLED = 500; // milliseconds until fonts, measures and graphs have found their place

// --- From Prometheus to what a panel shows ----------------------------------------------------------------------------

const property = (path, isCustom) => ({
  id: isCustom ? `custom.${path}` : path, path, name: path, isCustom,
  process: identityOverrideProcessor, shouldApply: () => true, editor: () => null, override: () => null,
});
const ofEvery = ['unit', 'min', 'max', 'decimals', 'displayName', 'noValue', 'color', 'thresholds', 'mappings', 'links'].map((path) => property(path, false));
const ofSome = ['cellOptions', 'axisSoftMax', 'align', 'width', 'minWidth', 'filterable'].map((path) => property(path, true));
standardFieldConfigEditorRegistry.setInit(() => ofEvery);
const fieldConfigRegistry = new FieldConfigOptionsRegistry(() => [...ofEvery, ...ofSome]);
standardTransformersRegistry.setInit(() => ['mergeTransformer', 'organizeFieldsTransformer', 'orderFieldsTransformer', 'renameFieldsTransformer', 'filterFieldsByNameTransformer', 'filterFieldsTransformer'].map((name) => ({
  id: standardTransformers[name].id, name, transformation: async () => standardTransformers[name], editor: () => null,
})));

// JSON has no infinity, so the first step of a threshold is null there.
function withInfinity(fieldConfig) {
  const opened = (thresholds) => thresholds && { ...thresholds, steps: thresholds.steps.map((step) => ({ ...step, value: step.value ?? -Infinity })) };
  const { defaults, overrides = [] } = fieldConfig;
  return {
    defaults: { ...defaults, thresholds: opened(defaults.thresholds) },
    overrides: overrides.map(({ matcher, properties }) => ({
      matcher, properties: properties.map(({ id, value }) => ({ id, value: id === 'thresholds' ? opened(value) : value })),
    })),
  };
}

const time = (points) => ({ name: 'Time', type: FieldType.time, config: {}, values: points.map(([at]) => at * 1000) });

function table(series, name, refId, custom) {
  const labels = [...new Set(series.flatMap(({ metric }) => Object.keys(metric)))].sort();
  return {
    refId, length: series.length, fields: [
      time(series.map(({ value }) => value)),
      ...labels.map((label) => ({ name: label, type: FieldType.string, config: { custom }, values: series.map(({ metric }) => metric[label] ?? '') })),
      { name, type: FieldType.number, config: { custom }, values: series.map(({ value }) => Number(value[1])) },
    ],
  };
}

function line({ metric, values, value }, { refId, legendFormat }, custom) {
  const points = values ?? [value];
  const name = legendFormat.replace(/{{\s*(.+?)\s*}}/g, (_, label) => metric[label] ?? '') || JSON.stringify(metric);
  return {
    refId, name, length: points.length, fields: [
      time(points),
      { name: 'Value', type: FieldType.number, labels: metric, config: { displayNameFromDS: name, custom: { ...custom } }, values: points.map(([, number]) => Number(number)) },
    ],
  };
}

async function prepared(panel) {
  const fieldConfig = withInfinity(panel.fieldConfig);
  const custom = fieldConfig.defaults.custom ?? {};
  let frames = panel.targets.flatMap((target) => {
    const series = answers[panel.id][target.refId];
    if (target.format !== 'table') return series.map((one) => line(one, target, custom));
    return series.length ? [table(series, panel.targets.length > 1 ? `Value #${target.refId}` : 'Value', target.refId, custom)] : [];
  });
  if (panel.transformations?.length) {
    frames = await new Promise((resolve) => transformDataFrame(panel.transformations, frames, { interpolate: replaceVariables }).subscribe(resolve));
  }
  const data = applyFieldOverrides({ data: frames, fieldConfig, replaceVariables, theme, timeZone, fieldConfigRegistry });
  return { panel, data, fieldConfig };
}

// --- What each kind of panel looks like -------------------------------------------------------------------------------

function Values({ data, fieldConfig, options, render, sparkline = false, ...rest }) {
  const getValues = () => getFieldDisplayValues({ fieldConfig, reduceOptions: options.reduceOptions, data, theme, replaceVariables, sparkline, timeZone });
  return <VizRepeater {...rest} source={data} renderCounter={0} getValues={getValues} getAlignmentFactors={getDisplayValueAlignmentFactors} renderValue={render} />;
}

const Stat = ({ options, ...rest }) => (
  <Values {...rest} options={options} sparkline={options.graphMode !== 'none'} orientation={VizOrientation.Auto} autoGrid
    render={({ value, ...size }) => <BigValue {...options} {...size} value={value.display} sparkline={value.sparkline} theme={theme} />} />
);

const Bars = ({ options, ...rest }) => (
  <Values {...rest} {...options} options={options} itemSpacing={GAP}
    render={({ value, ...size }) => <BarGauge {...options} {...size} value={value.display} field={value.field} display={value.view?.getFieldDisplayProcessor(value.colIndex)} theme={theme} itemSpacing={GAP} valueDisplayMode={options.valueMode} />} />
);

const VIEWS = {
  timeseries: ({ data, options, width, height }) => <TimeSeries frames={data} width={width} height={height} timeRange={timeRange} timeZone={timeZone} legend={options.legend} options={options} />,
  stat: Stat,
  bargauge: Bars,
  table: ({ data, options, width, height }) => <Table data={data[0]} width={width} height={height} initialSortBy={options.sortBy} cellHeight={options.cellHeight} />,
};

// What Grafana writes beside a title: links, and a time range that differs from the dashboard's.
function titleItems({ links = [], timeFrom }) {
  return [
    ...(links.length ? [<Icon key="links" name="external-link-alt" />] : []),
    ...(timeFrom ? [<span key="time" style={{ whiteSpace: 'nowrap' }}><Icon name="clock-nine" /> {rangeUtil.describeTimeRange({ from: timeFrom, to: 'now' })}</span>] : []),
  ];
}

const Row = ({ title, panels = [], style }) => (
  <h6 style={style}><Icon name={panels.length ? 'angle-right' : 'angle-down'} /> {title}{panels.length > 0 && ` (${panels.length} panels)`}</h6>
);

// A panel without data says so in its middle. Values say it themselves.
const Nothing = ({ text }) => <div data-nothing style={{ display: 'grid', placeItems: 'center', height: '100%' }}>{text}</div>;

function Content({ panel, data, fieldConfig, width, height }) {
  if (panel.type === 'heatmap') return <Nothing text="(a part of Grafana itself, which is not drawn here)" />;
  if (panel.type !== 'stat' && !data.some(({ length }) => length)) return <Nothing text={fieldConfig.defaults.noValue ?? 'No data'} />;
  const View = VIEWS[panel.type];
  return <View data={data} fieldConfig={fieldConfig} options={panel.options} width={width} height={height} />;
}

function Board({ panels }) {
  const column = (window.innerWidth - 2 * EDGE - (COLUMNS - 1) * GAP) / COLUMNS;
  const across = (cells) => cells * (column + GAP), down = (cells) => cells * (ROW + GAP);
  const bottom = Math.max(...panels.map(({ panel: { gridPos } }) => gridPos.y + gridPos.h));
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <div style={{ position: 'relative', left: EDGE, width: across(COLUMNS) - GAP, height: down(bottom) + EDGE }}>
        {panels.map(({ panel, data, fieldConfig }) => {
          const { x, y, w, h } = panel.gridPos;
          const width = across(w) - GAP, height = down(h) - GAP;
          const place = { position: 'absolute', left: across(x), top: down(y), width, height };
          if (panel.type === 'row') return <Row key={panel.id} title={panel.title} panels={panel.panels} style={place} />;
          return (
            <div key={panel.id} data-title={panel.title} data-type={panel.type} style={place}>
              <PanelChrome title={panel.title} description={panel.description} titleItems={titleItems(panel)} width={width} height={height}>
                {(innerWidth, innerHeight) => <Content panel={panel} data={data} fieldConfig={fieldConfig} width={innerWidth} height={innerHeight} />}
              </PanelChrome>
            </div>
          );
        })}
      </div>
    </ThemeContext.Provider>
  );
}

// --- Whether it can be read -------------------------------------------------------------------------------------------

const [SMALLEST_LETTER, LOWEST_GRAPH] = [11, 80]; // pixels

const textsIn = function* (panel) {
  const walker = document.createTreeWalker(panel, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const range = document.createRange();
    range.selectNodeContents(node);
    const box = range.getBoundingClientRect(); // the whole text's, also where it is cut
    if (node.data.trim() && box.width) yield { text: node.data, element: node.parentElement, box };
  }
};

// A table scrolls down; to the right nothing may. Digits leave the lowest fifth of a letter's box empty.
const isCut = (box, letter, { right, bottom }, isTable) => box.right > right + 1 || (box.bottom > bottom + letter / 5 && !isTable);

function* faultsOf(panel) {
  const { title, type } = panel.dataset;
  const texts = [...textsIn(panel)];
  if (!texts.some(({ text }) => text === title)) yield `${title}: its title is not to be seen`;
  for (const { text, element, box } of texts) {
    const letter = parseFloat(window.getComputedStyle(element).fontSize);
    if (letter < SMALLEST_LETTER) yield `${title}: the letters of "${text}" are ${letter}px high`;
    for (let outer = element; panel.contains(outer); outer = outer.parentElement) {
      const clips = outer === panel || window.getComputedStyle(outer).overflowX !== 'visible';
      if (clips && isCut(box, letter, outer.getBoundingClientRect(), type === 'table')) {
        yield `${title}: "${text}" is cut`;
        break;
      }
    }
  }
  if (type === 'timeseries' && !panel.querySelector('[data-nothing]')) {
    const height = panel.querySelector('.u-over')?.clientHeight ?? 0;
    if (height < LOWEST_GRAPH) yield `${title}: the graph is ${height}px high`;
  }
}

window.faults = () => [
  ...(document.documentElement.scrollWidth > window.innerWidth ? ['The page is wider than the screen.'] : []),
  ...[...document.querySelectorAll('[data-title]')].flatMap((panel) => [...faultsOf(panel)]),
];

const panels = await Promise.all(dashboard.panels.map((panel) => panel.type === 'row' ? { panel } : prepared(panel)));
createRoot(document.querySelector('main')).render(<Board panels={panels} />);
document.fonts.ready.then(() => setTimeout(() => { window.isDrawn = true; }, SETTLED));
