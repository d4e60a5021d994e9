"""McNemar's test: do two models err equally often on the same independent rows?"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from dermtl.arrays import Array


@dataclass(frozen=True)
class McNemar:
    """Rows on which exactly one of two models is right, and what they tell.

    Attributes:
        only_first: Rows that only the first gets right.
        only_second: Rows that only the second gets right.
        exact_p: Two-sided, of the binomial test; never too small, often too large.
        mid_p: The exact p-value less the probability of the observed counts; nearer the nominal level. 1 where no row
            tells the models apart.
    """

    only_first: int
    only_second: int
    exact_p: float
    mid_p: float


def mcnemar(first_right: Array, second_right: Array) -> McNemar:
    """Test bool [n] against bool [n].

    At a tie, equally many rows on either side, the mid-p value is 1 less half the probability of the observed
    counts: the two tails would count them twice.

    Source: Fagerland, Lydersen and Laake 2013, The McNemar test for binary matched-pairs data: mid-p and asymptotic are
    better than exact conditional. The tie is that of the authors' R package contingencytables,
    McNemar_midP_test_paired_2x2.
    """
    first, second = np.asarray(first_right, bool), np.asarray(second_right, bool)
    only_first, only_second = int((first & ~second).sum()), int((~first & second).sum())
    num, few = only_first + only_second, min(only_first, only_second)
    below, here = 0, 1  # binomial coefficients of fewer than `few`, and of `few`
    for index in range(few):
        below += here
        here = here * (num - index) // (index + 1)
    exact, seen = Fraction(2 * (below + here), 2**num), Fraction(here, 2**num)
    middle = 1 - seen / 2 if only_first == only_second else exact - seen
    if not num:
        middle = Fraction(1)
    return McNemar(only_first, only_second, float(min(exact, Fraction(1))), float(middle))
