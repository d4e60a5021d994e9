"""A running mean of the weights (exponential moving average), which is validated and kept in their place."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from dermtl.training.distributed.sharding import rows, rows_like


class WeightMean:
    """mean <- f * mean + (1 - f) * weights after step n, with f = d (1 - d^(n - 1)) / (1 - d^n).

    So the weights of step i count d^(n - i), and those before the first step nothing.

    Whole numbers, such as BatchNorm's count of batches, are taken as they are.

    Args:
        network: Network whose weights and buffers are averaged.
        decay: d, the mean's memory.

    Source: Polyak and Juditsky 1992; the first steps are corrected as in Kingma and Ba 2015, section 3.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._network = network
        self._decay = decay
        self._num = 0
        self._mean = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}

    def update(self) -> None:
        """After a step of the optimiser."""
        self._num += 1
        before, after = (1 - self._decay ** (self._num - 1)), (1 - self._decay**self._num)
        average = get_ema_multi_avg_fn(self._decay * before / after)  # type: ignore[no-untyped-call]
        now = self._network.state_dict()
        floats = [name for name, tensor in now.items() if tensor.is_floating_point()]
        average([rows(self._mean[name]) for name in floats], [rows(now[name]) for name in floats], self._num)
        for name in now.keys() - set(floats):
            self._mean[name].copy_(now[name])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """While active, the network has the mean as its weights."""
        own = {name: tensor.detach().clone() for name, tensor in self._network.state_dict().items()}
        self._network.load_state_dict(self._mean)
        try:
            yield
        finally:
            self._network.load_state_dict(own)

    def state(self) -> dict[str, object]:
        """What :meth:`restore` needs."""
        return {"num": self._num, "mean": self._mean}

    def restore(self, state: Mapping[str, object]) -> None:
        """Take up what :meth:`state` gave."""
        num, mean = state["num"], state["mean"]
        assert isinstance(num, int)
        assert isinstance(mean, dict)
        self._num = num
        for name, tensor in mean.items():
            self._mean[name].copy_(rows_like(tensor, self._mean[name]))
