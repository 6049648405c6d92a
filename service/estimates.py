"""What a request will take, guessed by those before it: first by its address alone, then by the size of each file."""

from collections import defaultdict
from collections.abc import Mapping

from service.admission import Load
from service.cost_model import MEMORY, CostModel


class Estimates:
    """device: what batches of each model take, by the numbers in their views. max_batch_size: of which one view costs
    its share."""

    def __init__(self, device: Mapping[str, CostModel], max_batch_size: int) -> None:
        self._device, self._batch = device, max_batch_size
        self._decode: defaultdict[str, CostModel] = defaultdict(CostModel)
        self._models: dict[str, str] = {}
        self._elements: dict[str, float] = {}

    def learn(self, path: str, model: str, size: int, decode_s: float, elements: float) -> None:
        """The file that was sent to `path`, one that exists, is for this model, has so many bytes, was decoded in so
        long, and became views of so many numbers each."""
        self._models[path] = model
        self._decode[model].observe(size, decode_s)
        usual = self._elements.get(model, elements)
        self._elements[model] = MEMORY * usual + (1 - MEMORY) * elements

    def forget(self, model: str) -> None:
        """It is not served any more."""
        self._decode.pop(model, None)
        self._elements.pop(model, None)
        self._models = {path: other for path, other in self._models.items() if other != model}

    def request(self, path: str) -> Load:
        """One sample to be decoded and computed by the model that answered this path last; nothing, before any did."""
        model = self._models.get(path)
        return self.sample(model) if model else Load(items=1)

    def sample(self, model: str) -> Load:
        device_s = self.device_s(model, 1, self._elements.get(model, 0.0))
        return Load(items=1, decode_s=self._decode[model].usual_s, device_s=device_s)

    def decode_s(self, model: str, size: int) -> float:
        """Of a file of so many bytes; nothing, before there was one."""
        return self._decode[model].seconds(size)

    def device_s(self, model: str, views: int, elements: float) -> float:
        """The share that views of so many numbers each have of full batches: those of other requests fill them up."""
        cost = self._device.get(model)
        return cost.seconds(self._batch * elements) * views / self._batch if cost else 0.0
