import asyncio

import pytest

from service.admission import Admission, Bounds, Load, Overloaded
from service.call import CURRENT_CALL, Call, current_call
from service.cost_model import CostModel
from service.errors import answer_error
from service.estimates import Estimates
from service.gate import Gate
from service.priority import Priority
from tests.service.asgi import Client, Reply, answering, outside, read_all

BULK = Priority.BULK


def admission(items: float = 4, size: float = 1000, wait_s: float = 10, decode_workers: int = 1) -> Admission:
    return Admission(Bounds(items, size, wait_s), decode_workers)


def refusal(door: Admission, load: Load, priority: Priority = Priority.INTERACTIVE, **options: float) -> Overloaded:
    with pytest.raises(Overloaded) as caught:
        door.admit(load, priority, **options)
    return caught.value


def test_samples_beyond_the_limit_are_refused_until_one_is_answered() -> None:
    door = admission(items=2)
    first = door.admit(Load(1))
    door.admit(Load(1))
    error = refusal(door, Load(1))
    assert str(error).startswith("the queue is full: 2 samples, the limit is 2: retry in")
    with first:
        pass
    door.admit(Load(1))


def test_a_request_of_several_samples_is_admitted_whole_or_not_at_all() -> None:
    door = admission(items=3)
    door.admit(Load(1))
    assert refusal(door, Load(3)).reason == "items"
    assert door.load.items == 1


def test_bytes_are_bounded_too() -> None:
    door = admission(size=100)
    door.admit(Load(bytes=60))
    error = refusal(door, Load(bytes=50))
    assert (error.reason, error.waiting, error.limit) == ("bytes", 60, 100)
    door.admit(Load(bytes=40))


def test_who_would_wait_too_long_is_refused() -> None:
    door = admission(wait_s=2)
    door.admit(Load(1, device_s=3))
    error = refusal(door, Load(1))
    assert (error.reason, error.retry_after_s) == ("wait", 1.0)
    assert "3.0 s, the limit is 2.0 s" in str(error)


def test_who_would_give_up_before_the_answer_is_refused() -> None:
    door = admission()
    door.admit(Load(1, device_s=3))
    assert refusal(door, Load(1), patience_s=1).reason == "wait"
    door.admit(Load(1), patience_s=4)


def test_an_empty_server_lets_in_whatever_it_is_thought_to_cost() -> None:
    admission(wait_s=1).admit(Load(1, decode_s=100, device_s=100))


def test_the_wait_is_that_of_the_slower_stage() -> None:
    door = admission(items=100, decode_workers=4)
    door.admit(Load(1, decode_s=8, device_s=1))
    assert door.predicted_wait_s() == 2
    place = door.admit(Load(1, decode_s=0, device_s=4))
    assert door.predicted_wait_s() == 5
    place.become(Load(1))
    assert door.predicted_wait_s() == 2


def test_retry_after_is_the_time_until_there_is_room() -> None:
    door = admission(items=4)
    for _ in range(4):
        door.admit(Load(1, device_s=2))
    assert refusal(door, Load(1)).retry_after_s == 2
    assert refusal(door, Load(3)).retry_after_s == 6


def test_bulk_work_leaves_room_for_those_who_wait_for_an_answer() -> None:
    door = admission(items=8, wait_s=100)
    for _ in range(6):
        door.admit(Load(1, device_s=1), BULK)
    assert refusal(door, Load(1), BULK).limit == 6
    assert (door.predicted_wait_s(BULK), door.predicted_wait_s()) == (6, 0)
    door.admit(Load(1), patience_s=0.1)


def test_the_ledger_is_empty_once_everybody_has_left() -> None:
    door = admission(items=100, wait_s=1000)
    places = [door.admit(Load(1, i, 0.1 * i, 0.2 * i), priority) for i in range(20) for priority in Priority]
    for place in places:
        with place:
            place.become(Load(2, 7, 0.3, 0.7))
    assert (door.load.items, door.load.bytes) == (0, 0)
    assert door.predicted_wait_s(BULK) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("seconds", "header"), [(0.0, "1"), (0.2, "1"), (2.3, "3")])
def test_overload_is_429_and_says_when_to_come_back_in_whole_seconds(seconds: float, header: str) -> None:
    response = answer_error(Overloaded(256, 256, seconds), {"path": "/classify/image", "request_id": "1"})
    assert (response.status_code, response.headers["Retry-After"]) == (429, header)


def test_costs_are_guessed_by_those_who_came_before_to_the_same_path() -> None:
    device = {"slow": CostModel()}
    estimates = Estimates(device, max_batch_size=4)
    assert estimates.request("/classify/image") == Load(items=1)
    for size in (1, 4, 2, 4):
        device["slow"].observe(size, 0.2 + 0.05 * size)
    estimates.learn("/classify/image", "slow", 1000, 0.5, elements=1)
    assert estimates.request("/classify/audio") == Load(items=1)
    load = estimates.request("/classify/image")
    assert load.decode_s == pytest.approx(0.5)
    assert load.device_s == pytest.approx(0.1)
    assert estimates.device_s("slow", 8, elements=1) == pytest.approx(0.8)


def test_large_views_are_expected_to_take_longer_than_small_ones() -> None:
    cost = CostModel()
    for elements in (10, 1000, 40, 4000):
        cost.observe(elements, 0.001 * elements)
    estimates = Estimates({"stations": cost}, max_batch_size=4)
    assert estimates.device_s("stations", 1, elements=1000) == pytest.approx(1.0)
    assert estimates.device_s("stations", 2, elements=10) == pytest.approx(0.02)
    for _ in range(200):
        estimates.learn("/forecast/weather", "stations", 1000, 0.0, elements=500)
    assert estimates.request("/forecast/weather").device_s == pytest.approx(0.5)


def test_a_long_file_is_expected_to_take_long_among_many_short_ones() -> None:
    estimates = Estimates({}, max_batch_size=4)
    assert estimates.decode_s("films", 1000) == 0
    for _ in range(5):
        for size, decode_s in ((5_000, 0.01), (4_000, 0.01), (700_000, 0.5)):
            estimates.learn("/classify/video", "films", size, decode_s, elements=1)
    assert estimates.decode_s("films", 600_000) > 0.3
    assert estimates.decode_s("films", 4_500) < 0.05
    assert estimates.sample("films").decode_s == pytest.approx(0.17, rel=0.2)


class Gated:
    """A gate in front of an endpoint that reads the body and then waits until it is let go."""

    def __init__(self, door: Admission, path_cost: Estimates | None = None) -> None:
        self.door, self.go, self.reading, self.inside = door, asyncio.Event(), 0, 0
        self.app = outside(Gate(answering(self._endpoint), door, path_cost or Estimates({}, 1)))

    async def _endpoint(self, scope: object, receive: object) -> None:
        self.reading += 1
        await read_all(scope, receive)  # type: ignore[arg-type]
        self.inside += 1
        await self.go.wait()

    async def ask(self, *clients: Client, method: str = "POST") -> list[Reply]:
        asking = [asyncio.create_task(client.ask(self.app, method=method)) for client in clients]
        while not all(task.done() for task in asking) and self.inside + sum(task.done() for task in asking) < len(
            asking
        ):
            await asyncio.sleep(0)
        self.go.set()
        return await asyncio.gather(*asking)


def test_a_request_that_there_is_no_room_for_is_refused_before_its_body_is_read() -> None:
    async def scenario() -> None:
        gated = Gated(admission(items=2))
        replies = await gated.ask(*(Client([b"x" * 10], content_length="10") for _ in range(5)))
        assert [reply.status for reply in replies] == [200, 200, 429, 429, 429]
        assert gated.reading == 2
        assert replies[2].problem["reason"] == "items"
        assert replies[2].headers["retry-after"] == "1"
        assert gated.door.load == Load()

    asyncio.run(scenario())


def test_declared_bytes_count_before_they_are_read() -> None:
    async def scenario() -> None:
        gated = Gated(admission(size=100))
        replies = await gated.ask(*(Client([b"x" * 60], content_length="60") for _ in range(2)))
        assert [reply.status for reply in replies] == [200, 429]
        assert (gated.reading, replies[1].problem["reason"]) == (1, "bytes")
        assert gated.door.load == Load()

    asyncio.run(scenario())


def test_a_chunked_body_counts_as_it_comes() -> None:
    async def scenario() -> None:
        gated = Gated(admission(size=100))
        replies = await gated.ask(Client([b"x" * 40] * 2), Client([b"x" * 15]), Client([b"x" * 15]))
        assert [reply.status for reply in replies] == [200, 200, 429]
        assert replies[2].problem["reason"] == "bytes"
        assert gated.door.load == Load()

    asyncio.run(scenario())


def test_questions_without_work_are_answered_however_full_the_queue_is() -> None:
    async def scenario() -> None:
        door = admission(items=1)
        door.admit(Load(1))
        (reply,) = await Gated(door).ask(Client(), method="GET")
        assert reply.status == 200

    asyncio.run(scenario())


def test_the_place_kept_at_the_door_is_taken_by_the_first_input_alone() -> None:
    async def scenario() -> None:
        door = admission()

        async def endpoint(scope: object, receive: object) -> None:
            assert current_call().take_place() is not None
            assert current_call().take_place() is None

        CURRENT_CALL.set(Call())
        reply = await Client().ask(outside(Gate(answering(endpoint), door, Estimates({}, 1))))
        assert reply.status == 200

    asyncio.run(scenario())
