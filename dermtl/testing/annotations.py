"""Checks of kinds: how annotations are read, stored, drawn, and moved with the picture."""

import json
import pickle
from dataclasses import replace

import numpy as np
from PIL import Image

from dermtl.arrays import Array
from dermtl.errors import AnnotationError
from dermtl.imaging.affine import Affine
from dermtl.imaging.letterbox import Letterbox
from dermtl.imaging.view import View
from dermtl.kinds import Kind
from dermtl.kinds.registry import kind_from_metadata
from dermtl.testing.assertions import check, same
from dermtl.testing.geometry import SIDE, compare, is_seen, marks, views
from dermtl.testing.head_under_test import HeadUnderTest


class AnnotationChecks:
    """Checks of the kinds of the target and of the outputs."""

    subject: HeadUnderTest

    def test_missing_truth_is_none(self) -> None:
        """A record whose cells are empty has no annotation, or one that the kind defines; reading never fails."""
        kind = self.subject.config.target()
        for example in self.subject.examples:
            empty = replace(example.record, cells=dict.fromkeys(example.record.cells, ""))
            found = kind.read(empty)
            check(found is None or isinstance(found, np.ndarray), f"read gives {type(found).__name__} of empty cells")

    def test_truth_has_one_form(self) -> None:
        """Annotations are read alike each time; targets have one shape and type, are finite, and can be stacked."""
        kind = self.subject.config.target()
        for example, annotation in self.subject.known:
            again = kind.read(example.record)
            check(again is not None and same(again, annotation), "read gives another annotation the second time")
        found = [_encode(kind, annotation, example.image) for example, annotation in self.subject.known]
        forms = {(target.shape, str(target.dtype)) for target in found}
        check(len(forms) == 1, f"targets of one head have several forms: {sorted(map(str, forms))}")
        check(all(np.isfinite(target).all() for target in found), "a target is not finite")
        check(not any(target.dtype == np.float64 for target in found), "targets are float64, torch's default is not")

    def test_truth_moves_with_the_picture(self) -> None:
        """Flips, turns, scales and crops move the target as they move the pixels, to 1 px; other kinds stay."""
        config = self.subject.config
        kind = config.target()
        kept = compared = 0
        for example, annotation in self.subject.known[:6]:
            plain = Letterbox.of(example.image, SIDE).view
            still = kind.encode(annotation, plain)
            for name, view in views(plain).items():
                before = annotation.copy()
                try:
                    target = kind.encode(annotation, view)
                except AnnotationError:  # it says that this view cannot carry it, as a turn an upright box
                    continue
                check(same(annotation, before), "encode changes the annotation it is given")
                if not kind.spatial:
                    check(target is not None and still is not None, "encode loses a truth that has no place")
                    check(same(np.asarray(target), np.asarray(still)), f"{name}: changes the target")
                    kept += 1
                    continue
                if target is None:
                    continue
                kept += 1
                compared += compare(name, view, kind, annotation, target)
        check(compared >= 7 or not kind.spatial, "draw marks nothing, so where the target lies cannot be seen")
        check(kept >= 24, f"encode gives no target for most views ({kept} of {6 * len(views(plain))})")

    def test_what_leaves_the_picture_is_no_truth(self) -> None:
        """A crop without the lesion gives None or an empty target, never a place outside the picture."""
        kind = self.subject.config.target()
        if not kind.spatial:
            return
        for example, annotation in self.subject.known[:6]:
            plain = Letterbox.of(example.image, SIDE).view
            far = View(plain.affine.then(Affine.scaling(1.0, (20.0 * SIDE, 0.0))), SIDE, plain.source_hw)
            target = kind.encode(annotation, far)
            if target is not None:
                seen = is_seen(marks(kind, target), SIDE, SIDE)
                check(not seen.any(), "a lesion cropped out leaves marks in its target")

    def test_outputs_return_to_the_source_frame(self) -> None:
        """A perfect prediction in the network frame is perfect in the source frame once restored, wide or tall."""
        config = self.subject.config
        for example, annotation in self.subject.known[:6]:
            box = Letterbox.of(example.image, SIDE)
            target = _encode(config.target(), annotation, example.image)
            right, boxed = config.perfect_prediction(annotation), config.perfect_prediction(target)
            for name, kind in config.outputs().items():
                got = np.asarray(kind.restore(boxed[name], box))
                check(got.shape == _extent(kind, example.image), f"output {name}: restored to {list(got.shape)}")
                if "H" in kind.shape:
                    agreed = float(((got > 0.5) == (right[name] > 0.5)).mean())
                    check(agreed > 0.97, f"output {name}: {agreed:.0%} of pixels come back where they were")
                else:
                    off = float(np.abs(got - right[name]).max())
                    check(off <= 0.05, f"output {name}: comes back {off:.2f} off in the source frame")

    def test_values_can_be_shown(self) -> None:
        """Values become finite JSON, always the same columns, and a drawing that does not change the picture."""
        config = self.subject.config
        columns: dict[str, set[tuple[str, ...]]] = {}
        for example, annotation in self.subject.known[:6]:
            for name, kind in config.outputs().items():
                value = config.perfect_prediction(annotation)[name]
                check(
                    np.shape(value) == _extent(kind, example.image),
                    f"output {name}: perfect_prediction gives another shape",
                )
                json.dumps(kind.to_json(value), allow_nan=False)
                told = kind.columns(value)
                check(all(type(number) is float for number in told.values()), f"{name}: columns hold no floats")
                columns.setdefault(name, set()).add(tuple(told))
                picture = Image.fromarray(example.image)
                drawn = kind.draw(picture, value)
                check(drawn.size == picture.size and drawn.mode == "RGB", f"output {name}: draw gives another form")
                check(same(np.asarray(picture), example.image), f"{name}: draw changes its picture")
            truth = dict(config.target().truth_columns(annotation))
            check(all(isinstance(cell, float | str) for cell in truth.values()), "truth_columns hold neither")
        check(all(len(found) == 1 for found in columns.values()), "columns differ from picture to picture")

    def test_kinds_are_understood_without_the_plugin(self) -> None:
        """A model file names only kinds of dermtl, which restore, convert and draw as those of the head do."""
        config = self.subject.config
        example, annotation = self.subject.known[0]
        box = Letterbox.of(example.image, SIDE)
        target = config.target().encode(annotation, box.view)
        for name, kind in config.outputs().items():
            check(pickle.loads(pickle.dumps(kind)) == kind, f"output {name}: its kind does not survive pickling")
            stand_in = kind_from_metadata(json.loads(json.dumps(kind.metadata(), allow_nan=False)))
            check(stand_in.shape == kind.shape, f"output {name}: {stand_in.kind} stands for it with another shape")
            value = config.perfect_prediction(np.asarray(target))[name]
            own, other = np.asarray(kind.restore(value, box)), np.asarray(stand_in.restore(value, box))
            check(same(own, other, limit=1e-4), f"output {name}: {stand_in.kind} restores it to another place")
            check(kind.columns(own) == stand_in.columns(own), f"output {name}: {stand_in.kind} has other columns")


def _encode(kind: Kind, annotation: Array, image: Array) -> Array:
    target = kind.encode(annotation, Letterbox.of(image, SIDE).view)
    check(target is not None, "encode loses a truth under the plain letterbox")
    return np.asarray(target)


def _extent(kind: Kind, image: Array) -> tuple[int, ...]:
    named = {"H": image.shape[0], "W": image.shape[1]}
    return tuple(named[extent] if isinstance(extent, str) else extent for extent in kind.shape)
