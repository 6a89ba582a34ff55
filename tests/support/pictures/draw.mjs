// Bundles board.jsx, draws every dashboard of job.json in Chromium at every width, and prints what cannot be read.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { build } from 'esbuild';
import { chromium as browsers } from 'playwright-core';

process.env.AWS_LAMBDA_JS_RUNTIME = `nodejs${process.versions.node.split('.')[0]}.x`; // the package brings its libraries too
const { default: chromium } = await import('@sparticuz/chromium');

const SECONDS = 60;
const HOST = 'http://dashboard.example';
const PAGE = '<!doctype html><link rel="stylesheet" href="board.css"><body style="margin: 0"><main></main><script src="given.js"></script><script type="module" src="board.js"></script>';
const FONTS = { 'Inter-Regular.woff2': 'inter-latin-400-normal.woff2', 'Inter-Medium.woff2': 'inter-latin-500-normal.woff2' };
const ICONS = '/public/build/img/icons/';

const { boards, widths } = JSON.parse(readFileSync('job.json', 'utf8'));

// A package in CommonJS whose default export a module with the ending .mjs would get wrapped.
const interop = {
  name: 'interop',
  setup(bundle) {
    bundle.onResolve({ filter: /^react-custom-scrollbars-2$/ }, ({ path, namespace }) => namespace === 'interop' ? undefined : { path, namespace: 'interop' });
    bundle.onLoad({ filter: /.*/, namespace: 'interop' }, ({ path }) => ({ contents: `export { default } from '${path}'`, resolveDir: process.cwd() }));
  },
};
await build({
  entryPoints: ['board.jsx'], outfile: 'board.js', bundle: true, format: 'esm', target: 'es2022', jsx: 'automatic', logLevel: 'error',
  loader: { '.svg': 'dataurl', '.ttf': 'empty' }, define: { 'process.env.NODE_ENV': '"development"', global: 'window' }, plugins: [interop],
});

function served(path, given) {
  if (path === '/') return { contentType: 'text/html', body: PAGE };
  if (path === '/given.js') return { contentType: 'text/javascript', body: `window.given = ${JSON.stringify(given)};` };
  if (path.startsWith('/board.')) return { path: path.slice(1) };
  if (path.startsWith(ICONS)) return { path: join('node_modules/@grafana/ui/dist/public/img/icons', path.slice(ICONS.length)) };
  const font = FONTS[path.split('/').at(-1)];
  return font ? { path: join('node_modules/@fontsource/inter/files', font) } : { status: 404 };
}

async function drawn(browser, name, width) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, locale: 'en-US', timezoneId: 'UTC' });
  const page = await context.newPage();
  page.setDefaultTimeout(SECONDS * 1000);
  const faults = [];
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
  await page.route(`${HOST}/**`, (route) => route.fulfill(served(new URL(route.request().url()).pathname, boards[name])));
  await page.goto(HOST);
  await page.waitForFunction('window.isDrawn');
  faults.push(...await page.evaluate('window.faults()'));
  await page.locator('main').screenshot({ path: `${name}-${width}.png` });
  await context.close();
  return faults;
}

const executablePath = await chromium.executablePath(); // unpacked, with a font beside it
writeFileSync('fonts.conf', `<fontconfig><dir>${process.env.TMPDIR}/fonts</dir><cachedir>${process.env.TMPDIR}/fonts/cache</cachedir></fontconfig>`);
const browser = await browsers.launch({
  executablePath, env: { ...process.env, FONTCONFIG_FILE: `${process.cwd()}/fonts.conf` }, args: ['--no-sandbox', '--no-zygote', '--disable-gpu', '--font-render-hinting=none'],
});
const found = {};
for (const name of Object.keys(boards)) {
  for (const width of widths) found[`${name} at ${width}`] = await drawn(browser, name, width);
}
await browser.close();
console.log(JSON.stringify(found));
