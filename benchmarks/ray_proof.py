"""Ray Serve, put to the proof: a cluster of two nodes in this machine, with a replica on each.

    python -m benchmarks.ray_proof [seconds of each load]

Needs the extra `ray`. Compared with the plain server, then loaded beyond what it can do, robbed of a replica, updated,
robbed of a node, and grown by load. Writes benchmarks/results/ray.json; ends with status 1 where a promise is broken.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Before the first import of ray, which reads them
os.environ |= {
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "service.ray_proxy:layers",
    "RAY_SERVE_WORKER_PROXY_HTTP_PORT": "8770",  # nodes of one machine share its ports
    "RAY_SERVE_WORKER_PROXY_GRPC_PORT": "9770",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",
    "RAY_worker_niceness": "0",  # by default whatever else runs on the machine goes before
    "RAY_health_check_timeout_ms": "60000",  # two nodes and their load share the cores of one machine
    "PYTHONPATH": str(Path.cwd()),
}

import psutil
import ray
from ray import serve
from ray.cluster_utils import Cluster

from benchmarks.ray_answers import differences, plain_server
from benchmarks.recording import RESULTS, machine
from service.bench.open_loop import Generator, Load
from service.bench.shot import Address, Shot
from service.ray import deployment
from service.settings import Settings

PORT = 8769
NAME = "unireplknet"
IMAGE = Path("examples/t-shirt.jpg").read_bytes()
CLIENTS = 8
REFUSALS = {429, 503}
PATIENCE_S = 300.0
SETTINGS = Settings(device="cpu", threads=1, decode_workers=1, max_batch_size=4, max_queue=24, max_queue_wait_s=2)
PAIR = {"num_replicas": 2, "autoscaling_config": None, "max_replicas_per_node": 1}
REPLICA = "ray::ServeReplica"
# Given ports are not waited for, which would fail on a busy machine
AGENT_PORTS = ("dashboard_agent_listen_port", "metrics_agent_port", "metrics_export_port", "runtime_env_agent_port")


@dataclass
class Proof:
    """What was found; `broken` are the promises that were not kept."""

    found: dict[str, Any] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def note(self, name: str, promise: str, kept: bool, **figures: Any) -> None:
        self.found[name] = {"promise": promise, "kept": kept, **figures}
        if not kept:
            self.broken.append(f"{name}: {promise}")
        sys.stdout.write(f"{name}: {'kept' if kept else 'BROKEN'} {json.dumps(figures)}\n")


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A head and one more node, two cores each."""
    nodes = Cluster()
    try:
        for first in (18800, 18900):
            ports = {name: first + place for place, name in enumerate(AGENT_PORTS)}
            nodes.add_node(num_cpus=2, include_dashboard=False, **ports)
        ray.init(address=nodes.address, log_to_driver=False)
        serve.start(http_options={"port": PORT}, proxy_location="EveryNode")
        yield nodes
    finally:
        serve.shutdown()
        ray.shutdown()
        nodes.shutdown()


def deploy(settings: Settings, **options: Any) -> None:
    """Returns once every replica has its models and is given requests."""
    chosen = deployment(settings).options(**{**PAIR, **options})
    serve.run(chosen.bind(settings), name=NAME)


def replicas() -> list[psutil.Process]:
    """The processes of this cluster's replicas, by the name that Ray gives them."""
    return [process for process in psutil.Process().children(recursive=True) if REPLICA in _name(process)]


def _name(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def until(what: Callable[[], bool]) -> float:
    """Seconds until it is so. Raises TimeoutError."""
    start = time.monotonic()
    while not what():
        if time.monotonic() > start + PATIENCE_S:
            raise TimeoutError(f"it was not so within {PATIENCE_S:g} s")
        time.sleep(0.2)
    return time.monotonic() - start


def running() -> int:
    deployments = serve.status().applications[NAME].deployments
    return sum(status.replica_states.get("RUNNING", 0) for status in deployments.values())


def loaded(rate: float, seconds: float, meanwhile: Callable[[], Any]) -> tuple[Load, Any]:
    """A load, with something done to the cluster when a third of it is over; and what that said."""

    async def both() -> tuple[Load, Any]:
        load = asyncio.create_task(generator().open(rate, seconds))
        await asyncio.sleep(seconds / 3)
        said = await asyncio.to_thread(meanwhile)
        return await load, said

    return asyncio.run(both())


def generator() -> Generator:
    return Generator(Address("127.0.0.1", PORT), [Shot("/classify/image", IMAGE)])


def figures(load: Load) -> dict[str, Any]:
    return {
        "offered_per_s": round(load.rate, 1),
        "statuses": {str(status): count for status, count in sorted(load.statuses().items())},
        "ok_p50_ms": round(load.percentile_ms(0.5, 200)),
        "ok_p99_ms": round(load.percentile_ms(0.99, 200)),
        "generator_late_p99_ms": round(load.lateness_ms(0.99), 1),
    }


def only(load: Load, *statuses: int) -> bool:
    return load.statuses().keys() <= set(statuses)


def same_answers(proof: Proof) -> None:
    with plain_server(SETTINGS) as port:
        asked, different = differences(port, PORT)
    promise = "every endpoint answers as the plain server, scores to the last bit"
    proof.note("answers", promise, not different, requests=asked, different=different)


def overload(proof: Proof, seconds: float) -> float:
    """What the replicas can do, in requests a second."""
    asyncio.run(generator().closed(CLIENTS, seconds / 2))
    capacity = asyncio.run(generator().closed(CLIENTS, seconds)).goodput
    load = asyncio.run(generator().open(3 * capacity, seconds))
    unnamed = sum(answer.status in REFUSALS and not answer.retry_after for answer in load.answers)
    kept = only(load, 200, *REFUSALS) and not unnamed and bool(load.count(429))
    share = round(load.goodput / capacity, 2)
    promise = "three times the capacity: 200, 429 and 503 only, each refusal with Retry-After"
    refused_ms = round(load.percentile_ms(0.5, 429))
    about = {"capacity_per_s": round(capacity, 1), "goodput_share": share, "refused_p50_ms": refused_ms}
    proof.note("overload", promise, kept, **about, **figures(load))
    return capacity


def killed_replica(proof: Proof, rate: float, seconds: float) -> None:
    def kill() -> list[psutil.Process]:
        victim = replicas()[0]
        family = [victim, *victim.children(recursive=True)]
        victim.kill()
        return family

    load, family = loaded(rate, seconds, kill)
    _, left = psutil.wait_procs(family, timeout=10)
    back_s = until(lambda: running() == 2)
    kept = only(load, 200, *REFUSALS) and not left
    promise = "a replica is killed under load: every request is answered, by 503 or 429 at worst; no process stays"
    about = {"processes_left": len(left), "replaced_after_s": round(back_s + 2 * seconds / 3, 1)}
    proof.note("killed_replica", promise, kept, **about, **figures(load))


def updated(proof: Proof, rate: float, seconds: float) -> None:
    changed = SETTINGS.model_copy(update={"max_batch_size": 8})
    load, _ = loaded(rate, seconds, lambda: deploy(changed))
    promise = "both replicas are replaced by others with new settings under load: every request gets 200"
    proof.note("rolling_update", promise, only(load, 200), **figures(load))


def lost_node(proof: Proof, nodes: Cluster, rate: float, seconds: float) -> None:
    worker = next(iter(nodes.worker_nodes))
    load, _ = loaded(rate, seconds, lambda: nodes.remove_node(worker, allow_graceful=False))
    after = asyncio.run(generator().open(rate, seconds / 3))
    kept = only(load, 200, *REFUSALS) and only(after, 200)
    promise = "a node is lost under load: every request is answered, by 503 or 429 at worst, and then by 200 alone"
    proof.note("lost_node", promise, kept, after=figures(after)["statuses"], **figures(load))


def grown(proof: Proof, seconds: float) -> None:
    serve.delete(NAME)  # an update would keep the number of replicas that there is
    scaling = {"min_replicas": 1, "max_replicas": 2, "target_ongoing_requests": 2, "upscale_delay_s": 2}
    deploy(SETTINGS, num_replicas="auto", autoscaling_config=scaling, max_replicas_per_node=100)
    before = running()
    load = asyncio.run(generator().closed(CLIENTS, 4 * seconds))
    promise = "one replica becomes two under load, and no request fails"
    kept = (before, running()) == (1, 2) and only(load, 200)
    proof.note("autoscaling", promise, kept, replicas=[before, running()], **figures(load))


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 15.0
    proof = Proof()
    with cluster() as nodes:
        deploy(SETTINGS)
        same_answers(proof)
        capacity = overload(proof, seconds)
        killed_replica(proof, 0.4 * capacity, 2 * seconds)
        updated(proof, 0.25 * capacity, 3 * seconds)  # what one replica can do while the other's core starts a process
        lost_node(proof, nodes, 0.4 * capacity, 2 * seconds)
        grown(proof, seconds)
    written = {**machine("cpu"), "ray": ray.__version__, "seconds": seconds, **proof.found}
    (RESULTS / "ray.json").write_text(json.dumps(written, indent=1) + "\n")
    sys.exit("\n".join(proof.broken) or 0)


if __name__ == "__main__":
    main()
