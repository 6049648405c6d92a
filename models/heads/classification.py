"""Classification: pooled features, normalised, through one linear layer."""

from collections.abc import Sequence

from torch import Tensor, nn

from models.heads.base import Head, Outputs
from models.postprocessors.classification import ClassificationPostprocessor, ScoreFunction
from models.unireplknet import Features


class ClassificationHead(Head):
    """num_features: channels of the last stage; where the embedding makes several maps of one input, of all of them
    together, in their order. labels: name of every class, in the order of the logits.

    norm_eps: 1e-6 as in the authors' ImageNet head. Rows hold `logits` (classes,) and `embedding` (num_features,),
    the normalised pooled features from which the logits are computed.
    """

    def __init__(
        self,
        num_features: int,
        labels: Sequence[str],
        function_to_apply: ScoreFunction = ScoreFunction.SOFTMAX,
        norm_eps: float = 1e-6,
        init_scale: float = 1.0,
    ) -> None:
        super().__init__()
        if not labels:
            raise ValueError("a classification head needs at least one label, got none")
        self.postprocessor = ClassificationPostprocessor(tuple(labels), num_features, ScoreFunction(function_to_apply))
        self.norm = nn.LayerNorm(num_features, eps=norm_eps)
        self.linear = nn.Linear(num_features, len(labels))
        nn.init.trunc_normal_(self.linear.weight, std=0.02 * init_scale)
        nn.init.zeros_(self.linear.bias)

    def forward(self, features: Features, x: Tensor) -> Outputs:
        pooled = features[-1].mean(dim=(2, 3)).reshape(len(x), -1)
        embedding = self.norm(pooled)
        return {"logits": self.linear(embedding), "embedding": embedding}
