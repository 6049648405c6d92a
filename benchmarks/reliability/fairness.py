"""R11: photographs, five a second, beside as much video as the server can do."""

from statistics import median

from benchmarks.reliability.asking import Client, Reply
from benchmarks.reliability.conditions import Conditions
from benchmarks.reliability.corpus import good_files
from benchmarks.reliability.finding import Finding, exactly
from benchmarks.reliability.load import asking, open_load
from benchmarks.reliability.server import Server, demo
from service.bench.open_loop import Load
from service.bench.shot import Shot

RATE, SECONDS, CLIENTS = 5.0, 30.0, 12
IMAGE, VIDEO = "classify/image", "classify/video"
TIMES_IDLE, STARVED_S = 3.0, 1.0


def fairness(conditions: Conditions) -> list[Finding]:
    files = good_files(4, conditions.data)
    photos = [Shot(f"/{IMAGE}", body) for body in files[IMAGE]]
    seconds = conditions.seconds(SECONDS)
    with demo() as server:
        open_load(server, photos, RATE, 3.0)
        idle = open_load(server, photos, RATE, seconds)
        beside = {
            priority: _beside_video(server, photos, files[VIDEO], priority, seconds)
            for priority in ("bulk", "interactive")
        }
    findings = [Finding("idle: p99 of images, ms", idle.percentile_ms(0.99, 200))]
    for priority, (load, films) in beside.items():
        findings += _judged(f"video {priority}", idle, load, films)
    return findings


def _beside_video(
    server: Server, photos: list[Shot], films: list[bytes], priority: str, seconds: float
) -> tuple[Load, list[Reply]]:
    def ask(client: Client, number: int) -> Reply:
        return client.post(f"/{VIDEO}", films[number % len(films)], X_Priority=priority)

    with asking(server, ask, CLIENTS) as replies:
        return open_load(server, photos, RATE, seconds), replies


def _judged(case: str, idle: Load, load: Load, films: list[Reply]) -> list[Finding]:
    p99 = load.percentile_ms(0.99, 200)
    ends = sorted(reply.ended for reply in films if reply.status == 200)
    gaps = [later - earlier for earlier, later in zip(ends, ends[1:], strict=False)]
    forward_ms = [_forward_ms(reply) for reply in films if reply.status == 200]
    longest_forward_s = max(forward_ms, default=0.0) / 1e3
    return [
        Finding(f"{case}: p99 of images, ms", p99),
        Finding(f"{case}: p99 of images / idle", p99 / idle.percentile_ms(0.99, 200), at_most=TIMES_IDLE),
        exactly(f"{case}: images answered other than 200", len(load.answers) - load.count(200)),
        Finding(f"{case}: videos answered", len(ends), at_least=1),
        Finding(f"{case}: median forward pass of videos, ms", median(forward_ms or [0.0])),
        Finding(
            f"{case}: longest time without an answered video, s",
            max(gaps, default=float("inf")),
            at_most=STARVED_S + longest_forward_s,
        ),
    ]


def _forward_ms(reply: Reply) -> float:
    return float(reply.json["timing_ms"]["forward"])
