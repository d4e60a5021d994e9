import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermtl.data.importers.raster import fill_polygon, fill_runs, unpack_runs
from dermtl.errors import AnnotationError


def pack(counts: list[int]) -> str:
    """The other way round, from the format's description."""
    text = ""
    for index, count in enumerate(counts):
        value, more = count - counts[index - 2] if index > 2 else count, True
        while more:
            bits, value = value & 31, value >> 5
            more = value != (-1 if bits & 16 else 0)
            text += chr(48 + bits + 32 * more)
    return text


def test_a_vector_by_hand() -> None:
    # 3 rows, 4 columns; rows 1 and 2 of columns 1 and 2. Down the columns: 4 off, 2 on, 1 off, 2 on, 3 off.
    # Stored: 4, 2, 1, 2 - 2 = 0, 3 - 1 = 2.
    assert unpack_runs("42102") == [4, 2, 1, 2, 3]
    expected = np.zeros((3, 4), np.bool_)
    expected[1:, 1:3] = True
    assert (fill_runs(unpack_runs("42102"), (3, 4)) == expected).all()


def test_long_and_negative_numbers_by_hand() -> None:
    # 16 is 10000, whose top bit would be a sign: a second character of 0 follows. -1 is 11111 alone.
    assert unpack_runs("`00") == [16, 0]
    assert unpack_runs("123O") == [1, 2, 3, 1]
    assert unpack_runs("jn1l1X10000000RZ7")[:2] == [2010, 60]  # as the COCO API packs a 60x5 box in 100x100


@given(st.lists(st.integers(0, 10**7), max_size=30))
def test_packed_runs_come_back(counts: list[int]) -> None:
    assert unpack_runs(pack(counts)) == counts


@pytest.mark.parametrize("text", ["P", "1P", "é", " ", "P" * 40])
def test_damaged_runs(text: str) -> None:
    with pytest.raises(AnnotationError):
        unpack_runs(text)


@pytest.mark.parametrize("counts", [[5, -1, 8], [11], [13], [1.5, 10.5], [True, "a"]])
def test_runs_that_do_not_fit(counts: list[int]) -> None:
    with pytest.raises(AnnotationError, match="do not fill"):
        fill_runs(counts, (3, 4))


@given(
    x=st.integers(0, 15),
    y=st.integers(0, 12),
    width=st.integers(1, 20),
    height=st.integers(1, 20),
    turned=st.booleans(),
)
def test_a_box_fills_its_pixels(x: int, y: int, width: int, height: int, turned: bool) -> None:
    points = np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], float)
    filled = fill_polygon(points[::-1] if turned else points, (12, 16))
    expected = np.zeros((12, 16), np.bool_)
    expected[y : y + height, x : x + width] = True
    assert (filled == expected).all()


@given(st.lists(st.tuples(st.floats(-5, 25), st.floats(-5, 25)), min_size=3, max_size=9))
def test_agrees_with_crossing_numbers(points: list[tuple[float, float]]) -> None:
    corners = np.array(points)
    filled = fill_polygon(corners, (18, 20))
    for row, column in ((0, 0), (9, 10), (17, 19), (4, 13)):
        x, y, is_inside = column + 0.5, row + 0.5, False
        near = False
        for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            if (y0 <= y) != (y1 <= y):
                crossing = x0 + (y - y0) * (x1 - x0) / (y1 - y0)
                near |= abs(crossing - x) < 1e-9
                is_inside ^= crossing < x
        assert near or filled[row, column] == is_inside
