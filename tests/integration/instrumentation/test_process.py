"""Processes without an HTTP app: their children, their page, what they leave when they end, and who cannot be read."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from sidelight.toolchain import processes
from tests.support import collectors
from tests.support.prometheus import asked

if TYPE_CHECKING:
    from sidelight.toolchain.processes import Process

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "how-to" / "observe-a-process.md"
SECONDS = 30.0

WORK = """
import os, signal, sys, time
import instrumentation

def work(number=0):
    with instrumentation.workflow("import"):
        pass
    return number

def work_and_die():
    work()
    os.kill(os.getpid(), signal.SIGKILL)
"""

CHILDREN = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from work import work, work_and_die

def grandchild():
    work()
    child = multiprocessing.get_context("spawn").Process(target=work)
    child.start(); child.join()

if __name__ == "__main__":
    import os, time
    import instrumentation

    instrumentation.instrument_process()
    work()
    for method in ("fork", "spawn", "forkserver"):
        context = multiprocessing.get_context(method)
        with ProcessPoolExecutor(2, mp_context=context) as pool:
            assert sum(pool.map(work, range(7))) == 21
    for function in (work_and_die, grandchild):
        child = multiprocessing.get_context("spawn").Process(target=function)
        child.start(); child.join()
    if not os.fork():
        work_and_die()
    os.wait()
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "work.py").write_text(WORK)
    return tmp_path


def environ(folder: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(folder))), "PYTHONFAULTHANDLER": "1"}


def write(folder: Path, program: str, **settings: Any) -> tuple[str, ...]:
    (folder / "sidelight.yaml").write_text(json.dumps({"service": {"name": "nightly"}, **settings}))
    (folder / "program.py").write_text(program)
    return (sys.executable, "program.py")


def run(folder: Path, program: str, **settings: Any) -> subprocess.CompletedProcess[str]:
    argv = write(folder, program, **settings)
    return subprocess.run(
        argv, cwd=folder, env=environ(folder), capture_output=True, text=True, timeout=SECONDS, check=False
    )


def executions(page: str, workflow: str = "import", outcome: str = "success") -> float:
    return sum(
        sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == "workflow_executions_total"
        and (sample.labels["workflow"], sample.labels["outcome"]) == (workflow, outcome)
    )


def page_of(port: int) -> str:
    return httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=SECONDS, trust_env=False).text


def until_there(log: Path, text: str) -> None:
    deadline = time.monotonic() + SECONDS
    while text not in log.read_text():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)


def test_children_of_every_kind_count_on_the_page_of_their_parent_also_if_killed(folder: Path) -> None:
    port = processes.free_port()
    argv = write(folder, CHILDREN, metrics={"port": port})
    with processes.start(
        argv, log=folder / "log", ready=f"http://127.0.0.1:{port}/metrics", env=environ(folder), cwd=folder
    ):
        until_there(folder / "log", "ready")
        for _ in range(2):
            page = page_of(port)
            # Itself 1; three pools 7 each; killed 1; a child and its child 2; forked and killed 1.
            assert executions(page) == 26
            assert 'target_info{deployment_environment_name="development",service_name="nightly"' in page
            assert page.count("\nprocess_cpu_seconds_total ") == 1
    assert "nobody can read it" not in (folder / "log").read_text()


APP = """
import asyncio, multiprocessing, os
from concurrent.futures import ProcessPoolExecutor
from fastapi import FastAPI
import instrumentation
from work import work

app = FastAPI()
pool = None

@app.get("/work")
async def in_pool() -> int:
    global pool
    pool = pool or ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
    await asyncio.get_running_loop().run_in_executor(pool, work)
    return os.getpid()

instrumentation.instrument(app)

if __name__ == "__main__":
    import sys
    import uvicorn
    uvicorn.run("program:app", port=int(sys.argv[1]), workers=int(sys.argv[2]))
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_pools_of_an_app_and_of_each_of_its_workers_count_on_its_page(folder: Path, workers: int) -> None:
    port = processes.free_port()
    url = f"http://127.0.0.1:{port}"
    argv = (*write(folder, APP), str(port), str(workers))
    with processes.start(argv, log=folder / "log", ready=f"{url}/metrics", env=environ(folder), cwd=folder):
        served = set[int]()
        requests = 0
        deadline = time.monotonic() + SECONDS
        while len(served) < workers or requests < 3:
            assert time.monotonic() < deadline
            served.add(httpx.get(f"{url}/work", timeout=SECONDS, trust_env=False).json())
            requests += 1
        for _ in range(3):  # any worker answers
            assert executions(page_of(port)) == requests


TELLS = """
from work import work
import multiprocessing, os, sys
import instrumentation

def counting():
    work(); work()

if __name__ == "__main__":
    if sys.argv[1] == "alone":
        work()
    elif sys.argv[1] == "off":
        os.environ["OTEL_SDK_DISABLED"] = "true"
        work()
    elif sys.argv[1] == "logs":
        instrumentation.configure_logging()
        __import__("logging").warning("seven")
    elif sys.argv[1] == "read":
        work()
        __import__("prometheus_client").generate_latest()
        from instrumentation.exposition.formats import register
        from instrumentation.store import default_store
        register(default_store())
        __import__("prometheus_client").generate_latest()
    elif sys.argv[1] == "nowhere":
        instrumentation.instrument_process()
        work()
    else:
        child = multiprocessing.get_context(sys.argv[1]).Process(target=counting)
        child.start(); child.join()
"""


@pytest.mark.parametrize(
    ("case", "times"), [("alone", 1), ("nowhere", 1), ("fork", 1), ("spawn", 1), ("logs", 0), ("read", 0), ("off", 0)]
)
def test_a_process_that_nobody_can_read_says_so_once(folder: Path, case: str, times: int) -> None:
    argv = write(folder, TELLS)
    ended = subprocess.run(
        (*argv, case), cwd=folder, env=environ(folder), capture_output=True, text=True, timeout=SECONDS, check=True
    )
    said = re.findall(r"counts (\w+), and nobody can read it", ended.stdout + ended.stderr)
    assert said == ["workflow_executions_total"] * times, ended


def test_a_file_has_every_run_once_also_of_processes_that_were_killed_or_ran_side_by_side(folder: Path) -> None:
    exporter = folder / "exporter"
    exporter.mkdir()
    settings = {"process": {"textfile": str(exporter)}, "logging": {"enabled": False}}
    start = "from work import *\ninstrumentation.instrument_process()\n"

    def counted() -> float:
        return executions((exporter / "nightly.prom").read_text())

    assert run(folder, f"{start}work()", **settings).returncode == 0
    assert counted() == 1
    argv = write(folder, f"{start}work()", **settings)
    together = [subprocess.Popen(argv, cwd=folder, env=environ(folder)) for _ in range(2)]
    assert [one.wait(SECONDS) for one in together] == [0, 0]
    assert run(folder, f"{start}work_and_die()", **settings).returncode == -signal.SIGKILL
    assert run(
        folder, f"{start}work(); os.kill(os.getpid(), signal.SIGTERM); time.sleep(30)", **settings
    ).returncode == (-signal.SIGTERM)
    assert counted() == 5
    text = (exporter / "nightly.prom").read_text()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    assert {sample.labels["job"] for sample in samples} == {"nightly"}
    assert not [sample for sample in samples if sample.name.startswith(("process_", "container_", "disk_used"))]
    assert [path.name for path in exporter.iterdir() if not path.name.startswith(".")] == ["nightly.prom"]
    assert (exporter / "nightly.prom").stat().st_mode & 0o777 == 0o644


def test_a_folder_that_cannot_be_written_stops_the_start_by_name(folder: Path) -> None:
    ended = run(
        folder, "import instrumentation\ninstrumentation.instrument_process()", process={"textfile": "/nowhere"}
    )
    assert ended.returncode == 1
    assert "process.textfile" in ended.stderr
    assert "/nowhere is not a folder that this process may write to" in ended.stderr


def test_the_page_of_the_documentation_is_right_about_its_program_and_its_file(folder: Path) -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    (settings,) = [
        block for block in re.findall(r"sidelight\n(.*?)```", PAGE.read_text(), re.DOTALL) if "textfile:" in block
    ]
    place = "/var/lib/node_exporter/textfile"
    assert place in settings
    write(folder, program)
    (folder / "sidelight.yaml").write_text(settings.replace(place, str(folder)))
    subprocess.run((sys.executable, "program.py"), cwd=folder, env=environ(folder), timeout=SECONDS, check=True)
    text = (folder / "nightly.prom").read_text()
    assert executions(text, "invoice_import") == 1
    assert (folder / ".nightly").is_dir()


JOB = "from work import *\nwith instrumentation.instrument_process():\n    work()\n"


@pytest.fixture
def prometheus_port(folder: Path) -> int:
    (folder / "prometheus.yml").write_text("storage: {tsdb: {out_of_order_time_window: 10m}}\n")
    return processes.free_port()


def receiving(folder: Path, port: int) -> Any:
    return processes.prometheus(
        folder / "prometheus.yml", folder / "data", port=port, flags=("--web.enable-otlp-receiver",)
    )


def pushed(prometheus: Process) -> list[tuple[str, float]]:
    found = asked(prometheus, 'sum by (job) (workflow_executions_total{outcome="success"})')
    return [(one["metric"]["job"], float(one["value"][1])) for one in found]


def test_a_short_job_is_counted_once_although_the_collector_comes_later(folder: Path, prometheus_port: int) -> None:
    otlp = processes.free_port()
    argv = write(folder, JOB, process={"push_endpoint": f"http://127.0.0.1:{otlp}"})
    with subprocess.Popen(argv, cwd=folder, env=environ(folder), stdout=subprocess.PIPE, text=True) as job:
        assert job.stdout is not None
        assert any("does not accept metrics; this process tries again" in line for line in job.stdout)
        with (
            receiving(folder, prometheus_port) as prometheus,
            collectors.running(
                "sidecar",
                folder / "sidecar",
                f"{prometheus.url}/api/v1/otlp",
                settings={"collector": {"metrics": "otlp"}},
                env={"SIDELIGHT_OTLP_HTTP_PORT": str(otlp)},
            ),
        ):
            assert job.wait(SECONDS) == 0
            collectors.until(lambda: pushed(prometheus) == [("nightly", 1)])
            (started,) = asked(prometheus, 'process_start_time_seconds{job="nightly"}')
            assert abs(float(started["value"][1]) - time.time()) < SECONDS
            (bucket,) = asked(prometheus, 'workflow_duration_seconds_bucket{le="+Inf"}')
            assert float(bucket["value"][1]) == 1


def test_what_no_collector_took_is_kept_and_sent_once_by_the_next_process(folder: Path, prometheus_port: int) -> None:
    push = {
        "push_endpoint": f"http://127.0.0.1:{prometheus_port}/api/v1/otlp",
        "push_seconds": 0,
        "spool": str(folder / "spool"),
    }
    ended = run(folder, JOB, process=push)
    (kept,) = (folder / "spool").iterdir()
    assert f"{kept} keeps them" in ended.stdout
    before = kept.read_bytes()
    with receiving(folder, prometheus_port) as prometheus:
        run(folder, JOB, process=push)
        assert [*(folder / "spool").iterdir()] == []
        assert pushed(prometheus) == [("nightly", 2)]
        kept.write_bytes(before)  # as if the first answer had been lost
        run(folder, JOB, process=push)
        assert pushed(prometheus) == [("nightly", 3)]


def test_without_a_spool_the_loss_is_said(folder: Path) -> None:
    push = {"push_endpoint": f"http://127.0.0.1:{processes.free_port()}", "push_seconds": 0}
    ended = run(folder, JOB, process=push)
    assert ended.returncode == 0
    assert "the numbers of this process are lost since the last push" in ended.stdout


def test_a_process_that_receives_sigterm_says_so_last_and_dies_of_it(folder: Path) -> None:
    program = "from work import *\ninstrumentation.instrument_process()\nos.kill(os.getpid(), 15); time.sleep(30)"
    ended = run(folder, program, metrics={"port": processes.free_port()})
    assert ended.returncode == -signal.SIGTERM
    last = json.loads(ended.stdout.splitlines()[-1])
    assert re.fullmatch(r"process ends after \d\.\d{3} s: SIGTERM", last["event"])
    assert last["service"] == "nightly"
