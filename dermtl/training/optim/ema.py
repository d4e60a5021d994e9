"""Exponential moving average (EMA) of the weights, which is validated and stored in place of the weights themselves."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from dermtl.training.distributed.sharding import local_shard, shard_like


class WeightEma:
    """average <- f * average + (1 - f) * weights after step n, with f = d (1 - d^(n - 1)) / (1 - d^n).

    So the weights after step i count d^(n - i), and the weights before the first step count nothing.

    Integers, such as BatchNorm's number of batches, are copied instead of averaged.

    Args:
        network: Network whose weights and buffers are averaged.
        decay: d, the share of the average that remains after a step.

    Source: Polyak and Juditsky 1992; the first steps are corrected as in Kingma and Ba 2015, section 3.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._network = network
        self._decay = decay
        self._num = 0
        self._mean = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}

    def update(self) -> None:
        """Include the network's weights of this moment; call after every step of the optimiser."""
        self._num += 1
        before, after = (1 - self._decay ** (self._num - 1)), (1 - self._decay**self._num)
        average = get_ema_multi_avg_fn(self._decay * before / after)  # type: ignore[no-untyped-call]
        now = self._network.state_dict()
        floats = [name for name, tensor in now.items() if tensor.is_floating_point()]
        means, weights = ([local_shard(side[name]) for name in floats] for side in (self._mean, now))
        average(means, weights, self._num)
        for name in now.keys() - set(floats):
            self._mean[name].copy_(now[name])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """While active, the network has the average as its weights."""
        weights = {name: tensor.detach().clone() for name, tensor in self._network.state_dict().items()}
        self._network.load_state_dict(self._mean)
        try:
            yield
        finally:
            self._network.load_state_dict(weights)

    def state(self) -> dict[str, object]:
        """State for :meth:`restore`."""
        return {"num": self._num, "mean": self._mean}

    def restore(self, state: Mapping[str, object]) -> None:
        """Continue from a state that :meth:`state` returned."""
        num, mean = state["num"], state["mean"]
        assert isinstance(num, int)
        assert isinstance(mean, dict)
        self._num = num
        for name, tensor in mean.items():
            self._mean[name].copy_(shard_like(tensor, self._mean[name]))
