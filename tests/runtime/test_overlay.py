import numpy as np
import pytest
from PIL import Image

import dermtl
from dermtl.errors import InputError
from dermtl.imaging.decode import read_image
from dermtl.runtime.folder import find_images
from dermtl.runtime.overlay import plan_overlays, write_overlay


def test_equal_names_in_unlike_folders_stay_apart(pictures, tmp_path):
    files = find_images([pictures])
    planned = plan_overlays(files, [pictures], tmp_path / "drawn")
    names = [path.relative_to(tmp_path / "drawn").as_posix() for path in planned.values()]
    assert "wide.jpg" in names
    assert "b/wide.jpg" in names
    assert "b/grey.TIF.png" in names
    assert len(set(names)) == len(files)


def test_equal_names_below_several_inputs_stay_apart(tmp_path):
    files = [tmp_path / folder / name for folder in "ab" for name in ("x.jpg", "x.png", "x.tif")]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.touch()
    planned = plan_overlays(files, [tmp_path / "a", *files[3:]], tmp_path / "drawn")
    assert len(set(planned.values())) == 6
    assert {path.parent.name for path in planned.values()} == {"a", "b"}


def test_names_do_not_depend_on_the_shard(pictures, tmp_path):
    files = find_images([pictures])
    whole = plan_overlays(files, [pictures], tmp_path / "drawn")
    assert plan_overlays(files[:1], [pictures], tmp_path / "drawn").items() <= whole.items()


def test_relative_paths_above_the_working_folder_stay_inside(pictures, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    inputs = [type(pictures)("../pictures")]
    planned = plan_overlays(find_images(inputs), inputs, tmp_path / "drawn")
    assert all(path.resolve().is_relative_to(tmp_path / "drawn") for path in planned.values())


@pytest.mark.parametrize("below", [".", "drawn", "b/drawn"])
def test_a_folder_that_is_read_is_refused(pictures, below):
    with pytest.raises(InputError, match="which is read"):
        plan_overlays(find_images([pictures]), [pictures], pictures / below)


def test_a_picture_is_never_its_own_overlay(pictures):
    file = pictures / "wide.jpg"
    with pytest.raises(InputError, match="the picture itself"):
        plan_overlays([file], [file], pictures, overwrite=True)


def test_an_existing_overlay_stays_unless_told(pictures, tmp_path):
    (tmp_path / "drawn").mkdir()
    (tmp_path / "drawn" / "wide.jpg").write_bytes(b"precious")
    files = [pictures / "wide.jpg"]
    with pytest.raises(InputError, match="exists already"):
        plan_overlays(files, files, tmp_path / "drawn")
    assert plan_overlays(files, files, tmp_path / "drawn", overwrite=True)


@pytest.mark.parametrize("name", ["turned.jpg", "b/one.png", "b/grey.TIF"])
def test_an_overlay_is_the_upright_picture_with_something_drawn(model_path, pictures, tmp_path, name):
    file = pictures / name
    [path] = plan_overlays([file], [file], tmp_path / "drawn").values()
    write_overlay(file, dermtl.load(model_path, threads=1).predict(file), path)
    drawn, image = read_image(path), read_image(file)
    assert drawn.shape == image.shape
    assert (np.abs(drawn.astype(int) - image).max(axis=2) > 50).any()
    with Image.open(path) as stored:
        assert stored.format == ("JPEG" if name.endswith(".jpg") else "PNG")
        assert not stored.getexif()
