// Prints the Alertmanager configuration that the Prometheus Operator makes of AlertmanagerConfig objects.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/blang/semver/v4"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/prometheus-operator/prometheus-operator/pkg/alertmanager"
	validation "github.com/prometheus-operator/prometheus-operator/pkg/alertmanager/validation/v1alpha1"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	"github.com/prometheus-operator/prometheus-operator/pkg/assets"
)

type input struct {
	Version  string
	Strategy string
	Namespace string // of the Alertmanager
	Base     string
	Secrets  []struct {
		Namespace, Name string
		Data            map[string]string
	}
	Configs []*monitoringv1alpha1.AlertmanagerConfig
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	raw, err := io.ReadAll(os.Stdin)
	check(err)
	var in input
	check(json.Unmarshal(raw, &in))
	var objects []interface{}
	for _, s := range in.Secrets {
		data := map[string][]byte{}
		for k, v := range s.Data {
			data[k] = []byte(v)
		}
		objects = append(objects, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: s.Name}, Data: data})
	}
	version, err := semver.Parse(in.Version)
	check(err)
	am := &monitoringv1.Alertmanager{ObjectMeta: metav1.ObjectMeta{Namespace: in.Namespace, Name: "main"}}
	am.Spec.AlertmanagerConfigMatcherStrategy.Type = monitoringv1.AlertmanagerConfigMatcherStrategyType(in.Strategy)
	builder := alertmanager.NewConfigBuilder(slog.New(slog.NewTextHandler(os.Stderr, nil)), version, assets.NewTestStoreBuilder(objects...), am)
	check(builder.InitializeFromRawConfiguration([]byte(in.Base)))
	configs := map[string]*monitoringv1alpha1.AlertmanagerConfig{}
	for _, c := range in.Configs {
		check(validation.ValidateAlertmanagerConfig(c))
		configs[c.Namespace+"/"+c.Name] = c
	}
	check(builder.AddAlertmanagerConfigs(context.Background(), configs))
	out, err := builder.MarshalJSON() // YAML, whatever its name says
	check(err)
	os.Stdout.Write(out)
}
