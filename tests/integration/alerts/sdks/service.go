// A service as OpenTelemetry's Go instrumentation leaves it: one good route, one that fails, one that is slow.
//
//	go run . 127.0.0.1:8080                       # shows /metrics
//	OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=http://127.0.0.1:9090/api/v1/otlp/v1/metrics go run . 127.0.0.1:8080
package main

import (
	"context"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"
)

func main() {
	reader, err := newReader()
	if err != nil {
		log.Fatal(err)
	}
	otel.SetMeterProvider(metric.NewMeterProvider(metric.WithReader(reader)))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /good/{id}", func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("good")) })
	mux.HandleFunc("GET /bad", func(w http.ResponseWriter, r *http.Request) { http.Error(w, "bad", http.StatusServiceUnavailable) })
	mux.HandleFunc("GET /slow", func(w http.ResponseWriter, r *http.Request) { time.Sleep(1200 * time.Millisecond); w.Write([]byte("slow")) })
	server := http.NewServeMux()
	server.Handle("/metrics", promhttp.Handler())
	server.Handle("/", otelhttp.NewHandler(mux, "server"))
	log.Fatal(http.ListenAndServe(os.Args[1], server))
}

func newReader() (metric.Reader, error) {
	if os.Getenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT") == "" {
		return prometheus.New()
	}
	exporter, err := otlpmetrichttp.New(context.Background())
	return metric.NewPeriodicReader(exporter, metric.WithInterval(time.Second)), err
}
