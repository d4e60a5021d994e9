"""The layers of both heads."""

from torch import nn


def pooled_linear(num_pooled: int, num_outputs: int, dropout: float) -> nn.Sequential:
    """Dropout and a linear layer that starts near zero, so that the first probabilities are near chance.

    Args:
        num_pooled: Width of the pooled features.
        num_outputs: Number of logits.
        dropout: Share of features set to zero while training.
    """
    linear = nn.Linear(num_pooled, num_outputs)
    nn.init.normal_(linear.weight, std=0.01)
    nn.init.zeros_(linear.bias)
    return nn.Sequential(nn.Dropout(dropout), linear)
