// A service as OpenTelemetry's Node instrumentation leaves it: one good path, one that fails, one that is slow.
import {OTLPMetricExporter} from '@opentelemetry/exporter-metrics-otlp-proto';
import {PrometheusExporter} from '@opentelemetry/exporter-prometheus';
import {registerInstrumentations} from '@opentelemetry/instrumentation';
import {HttpInstrumentation} from '@opentelemetry/instrumentation-http';
import {defaultResource, detectResources, envDetector} from '@opentelemetry/resources';
import {MeterProvider, PeriodicExportingMetricReader} from '@opentelemetry/sdk-metrics';
import {createRequire} from 'node:module';

const [port, metricsPort] = process.argv.slice(2).map(Number);
const reader = process.env.OTEL_EXPORTER_OTLP_METRICS_ENDPOINT
  ? new PeriodicExportingMetricReader({exporter: new OTLPMetricExporter(), exportIntervalMillis: 1000, exportTimeoutMillis: 1000})
  : new PrometheusExporter({host: '127.0.0.1', port: metricsPort});
const resource = defaultResource().merge(detectResources({detectors: [envDetector]}));
const meterProvider = new MeterProvider({resource, readers: [reader]});
registerInstrumentations({meterProvider, instrumentations: [new HttpInstrumentation()]});
const http = createRequire(import.meta.url)('node:http'); // what is required after registration is instrumented
const answers = {'/good': [200, 0], '/bad': [503, 0], '/slow': [200, 1200]};
http.createServer((request, response) => {
  const [status, milliseconds] = answers[request.url] ?? [404, 0];
  setTimeout(() => response.writeHead(status).end(), milliseconds);
}).listen(port, '127.0.0.1');
