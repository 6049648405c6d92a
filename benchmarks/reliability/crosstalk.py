"""R10: everybody gets the answer to what they sent, whoever shares the batch, leaves, or asks another model."""

import asyncio
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from benchmarks.reliability.asking import Client, Reply
from benchmarks.reliability.conditions import Conditions
from benchmarks.reliability.finding import Finding, exactly
from benchmarks.reliability.load import asking
from benchmarks.reliability.marker import CLASSES, mark_of, marked_pipelines
from benchmarks.reliability.marks import MARKS, payload, view
from benchmarks.reliability.server import marked
from service.engine.process import ProcessEngine
from service.scheduler import Scheduler
from service.settings import Settings

SUBMISSIONS, CALLERS = 100_000, 200
HTTP_S, CLIENTS = 60.0, 12
LEAVING = 0.05
MODELS = [(path, f"{kind.modality}-{place}", place) for path, kind in MARKS.items() for place in range(2)]


@dataclass
class Tally:
    """Answers by what they turned out to be. left: those who cancelled."""

    right: int = 0
    swapped: int = 0
    left: int = 0
    failed: int = 0

    def judge(self, is_right: bool) -> None:
        self.right += is_right
        self.swapped += not is_right


def crosstalk(conditions: Conditions) -> list[Finding]:
    inside = asyncio.run(_through_the_engine(conditions.count(SUBMISSIONS)))
    outside = _over_http(conditions.seconds(HTTP_S))
    return [
        Finding("answers by scheduler and engine", inside.right, at_least=0.9 * conditions.count(SUBMISSIONS)),
        Finding("callers that left", inside.left, at_least=1),
        exactly("swapped", inside.swapped),
        exactly("failed", inside.failed),
        Finding("answers over HTTP", outside.right, at_least=1),
        exactly("swapped over HTTP", outside.swapped),
        exactly("failed over HTTP", outside.failed),
    ]


async def _through_the_engine(count: int) -> Tally:
    tally, rng = Tally(), random.Random(0)
    marks = iter(range(1, count + 1))
    settings = Settings(device="cpu")
    engine = ProcessEngine(settings, load=partial(marked_pipelines, 0.0, 0.0, ""))
    await engine.start()
    scheduler = Scheduler(engine, settings.max_batch_size)
    try:
        await asyncio.gather(*(_call(scheduler, marks, rng, tally) for _ in range(CALLERS)))
        await scheduler.close()
    finally:
        await engine.close()
    return tally


async def _call(scheduler: Scheduler, marks: Iterator[int], rng: random.Random, tally: Tally) -> None:
    for mark in marks:
        _, name, place = MODELS[rng.randrange(len(MODELS))]
        views = [view(mark)] * rng.choice([1, 1, 1, 3])
        patience_s = 0.003 if rng.random() < LEAVING else None
        try:
            predictions = await asyncio.wait_for(scheduler.submit(name, views), patience_s)
        except TimeoutError:
            tally.left += 1
            continue
        told = [prediction.row["embedding"].tolist() for prediction in predictions]
        tally.judge(len(told) == len(views) and all(_is(row, mark, place) for row in told))


def _is(embedding: list[float], mark: int, place: int) -> bool:
    return (mark_of(embedding), embedding[2]) == (mark, place)


def _over_http(seconds: float) -> Tally:
    """Through every layer: multipart and raw bodies, decoders, batches of all models, answers in JSON."""
    tally = Tally()
    with marked(decode_workers="2") as server, asking(server, partial(_ask, tally), CLIENTS):
        time.sleep(seconds)
    return tally


def _ask(tally: Tally, client: Client, number: int) -> Reply:
    mark = number + 1
    path, name, place = MODELS[mark * 5 % len(MODELS)]
    if mark % 2:
        reply = client.post(f"/{path}?model={name}", payload(mark, mark % 3000), X_Request_Id=str(mark))
        is_right = _classified(reply, name, mark)
    else:
        modality = path.partition("/")[2]
        reply = client.post(f"/embed/{modality}?model={name}&normalize=false", payload(mark), X_Request_Id=str(mark))
        is_right = reply.status == 200 and _is(reply.json["data"][0]["embedding"], mark, place)
    if reply.status == 200:
        tally.judge(is_right and reply.json["id"] == str(mark))
    else:
        tally.failed += 1
    return reply


def _classified(reply: Reply, name: str, mark: int) -> bool:
    if reply.status != 200:
        return False
    answer = reply.json
    best = answer["predictions"][0]["class_id"]
    return (answer["model"], answer["input"]["mark"], best) == (name, mark, mark % CLASSES)
