import numpy as np
import pytest
from PIL import Image

import dermtl
from dermtl.errors import InputError
from dermtl.imaging.decode import read_image
from dermtl.runtime.image_files import find_images
from dermtl.runtime.outputs.output_paths import refuse_existing
from dermtl.runtime.outputs.overlays import Overlays


def test_equal_names_in_unlike_folders_stay_apart(pictures, tmp_path):
    files = find_images([pictures])
    planned = Overlays(tmp_path / "drawn", [pictures]).plan(files)
    names = [path.relative_to(tmp_path / "drawn").as_posix() for path in planned]
    assert "wide.jpg" in names
    assert "b/wide.jpg" in names
    assert "b/grey.TIF.png" in names
    assert len(set(names)) == len(files)


def test_equal_names_below_several_inputs_stay_apart(tmp_path):
    files = [tmp_path / folder / name for folder in "ab" for name in ("x.jpg", "x.png", "x.tif")]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.touch()
    planned = list(Overlays(tmp_path / "drawn", [tmp_path / "a", *files[3:]]).plan(files))
    assert len(set(planned)) == 6
    assert {path.parent.name for path in planned} == {"a", "b"}


def test_names_do_not_depend_on_the_shard(pictures, tmp_path):
    files = find_images([pictures])
    whole = list(Overlays(tmp_path / "drawn", [pictures]).plan(files))
    assert list(Overlays(tmp_path / "drawn", [pictures]).plan(files[2:4])) == whole[2:4]


def test_relative_paths_above_the_working_folder_stay_inside(pictures, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    inputs = [type(pictures)("../pictures")]
    planned = Overlays(tmp_path / "drawn", inputs).plan(find_images(inputs))
    assert all(path.resolve().is_relative_to(tmp_path / "drawn") for path in planned)


@pytest.mark.parametrize("below", [".", "drawn", "b/drawn"])
def test_a_folder_that_is_read_is_refused(pictures, below):
    with pytest.raises(InputError, match="which is read"):
        Overlays(pictures / below, [pictures])


def test_a_picture_is_never_its_own_overlay(pictures):
    file = pictures / "wide.jpg"
    with pytest.raises(InputError, match="the picture itself"):
        list(Overlays(pictures, [file]).plan([file]))


def test_an_existing_overlay_is_refused(pictures, tmp_path):
    (tmp_path / "drawn").mkdir()
    (tmp_path / "drawn" / "wide.jpg").write_bytes(b"precious")
    files = [pictures / "wide.jpg"]
    with pytest.raises(InputError, match="exists already"):
        refuse_existing(Overlays(tmp_path / "drawn", files).plan(files))


@pytest.mark.parametrize("name", ["turned.jpg", "b/one.png", "b/grey.TIF"])
def test_an_overlay_is_the_upright_picture_with_something_drawn(model_path, pictures, tmp_path, name):
    file = pictures / name
    overlays = Overlays(tmp_path / "drawn", [file])
    [path] = overlays.plan([file])
    overlays.write(file, dermtl.load(model_path, threads=1).predict(file))
    drawn, image = read_image(path), read_image(file)
    assert drawn.shape == image.shape
    assert (np.abs(drawn.astype(int) - image).max(axis=2) > 50).any()
    with Image.open(path) as stored:
        assert stored.format == ("JPEG" if name.endswith(".jpg") else "PNG")
        assert not stored.getexif()
