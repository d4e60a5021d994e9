"""What the files of a folder are to one another: pictures, masks of pictures, companions, and what is none of these.

Judged by names alone: ``x_mask.png``, ``x_mask_1.png`` and ``x_segmentation.png`` beside ``x.jpg``, or ``masks/x.png``
beside ``images/x.jpg``, are masks of ``x``; ``x_superpixels.png`` and ``x_thumb.jpg`` beside it are companions.
"""

import os
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dermtl.imaging.suffixes import NOTES, is_picture

IMAGE_FOLDERS = frozenset(
    {"image", "images", "img", "imgs", "picture", "pictures", "photo", "photos", "jpegimages", "original", "originals"}
    | {"bild", "bilder", "foto", "fotos", "imagen", "imagenes", "immagini", "imagens"}
)
MASK_FOLDERS = frozenset(
    {"mask", "masks", "label", "labels", "segmentation", "segmentations", "seg", "gt", "groundtruth", "ground_truth"}
    | {"annotation", "annotations", "segmentationclass"}
)
_MASK = re.compile(r"(.+?)[ _-](?:mask|masks|segmentation|seg|gt|groundtruth)(?:[ _-]?\d+)?", re.IGNORECASE)
_COMPANION = re.compile(r"(.+?)[ _-](?:superpixels?|thumb|thumbnail|preview|overlay)", re.IGNORECASE)
_SHOWN = 5  # names of files in a message
WRITTEN = ".files"  # ending of the folder of pictures that an import has written


@dataclass(frozen=True)
class Folder:
    """The files below a folder; hidden ones and what an import has written apart.

    Attributes:
        path: The folder.
        pictures: In the order of their paths.
        masks: Picture to its masks.
        stray_masks: In a folder of masks, and of no picture.
        companions: Made from a picture that is there.
        others: Everything that is no picture dermtl reads, tables among them.
    """

    path: Path
    pictures: Sequence[Path]
    masks: Mapping[Path, Sequence[Path]]
    stray_masks: Sequence[Path]
    companions: Sequence[Path]
    others: Sequence[Path]

    @property
    def unread(self) -> list[Path]:
        """The others that may be meant as pictures: neither tables nor texts."""
        return [path for path in self.others if path.suffix.lower() not in NOTES]


def look_around(folder: Path) -> Folder:
    """Walk a folder to any depth; a file without a picture's ending is asked for the mark of DICOM, no other opened."""
    files = sorted(_files(folder), key=lambda path: path.relative_to(folder).parts)
    known = {path: is_picture(path) for path in files}
    pictures = [path for path in files if known[path]]
    by_stem: dict[tuple[Path, str], list[Path]] = defaultdict(list)
    for path in pictures:
        by_stem[path.parent, path.stem.casefold()].append(path)
    folders = {_folded(parent, folder): parent for parent in {path.parent for path in pictures}}
    owners = {path: _owner(path, folder, by_stem, folders) for path in pictures}
    masks: dict[Path, list[Path]] = defaultdict(list)
    stray, companions, plain = [], [], []
    for path in pictures:
        if (owner := owners[path]) is not None:
            masks[owner].append(path)
        elif _is_companion(path, by_stem):
            companions.append(path)
        elif _images_beside(path, folder, folders):
            stray.append(path)
        else:
            plain.append(path)
    others = [path for path in files if not known[path]]
    return Folder(folder, plain, masks, stray, companions, others)


def first_names(paths: Sequence[Path]) -> str:
    """Names of the first five files, and dots if there are more."""
    return ", ".join(path.name for path in paths[:_SHOWN]) + (", ..." if len(paths) > _SHOWN else "")


def _files(folder: Path) -> list[Path]:
    found = []
    for top, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and not name.endswith(WRITTEN)]
        found += [Path(top, name) for name in names if not name.startswith(".")]
    return found


def _owner(
    path: Path,
    top: Path,
    by_stem: Mapping[tuple[Path, str], list[Path]],
    folders: Mapping[tuple[str, ...], Path],
) -> Path | None:
    """The picture that a mask belongs to, or None."""
    beside = _images_beside(path, top, folders) or _only_beside(path, top, folders)
    match = _MASK.fullmatch(path.stem)
    stems = [path.stem.casefold(), *([match.group(1).casefold()] if match else [])]
    places = [(place, stem) for place in beside for stem in stems]
    if match:
        places.append((path.parent, stems[1]))
    for place in places:
        for owner in by_stem.get(place, []):
            if owner != path:
                return owner
    return None


def _images_beside(path: Path, top: Path, folders: Mapping[tuple[str, ...], Path]) -> list[Path]:
    """The folders of images that stand where a folder of masks above this file stands."""
    parts = _folded(path.parent, top)
    around = [(parts[:index], parts[index + 1 :]) for index, part in enumerate(parts) if part in MASK_FOLDERS]
    wanted = [(*before, name, *after) for before, after in around for name in sorted(IMAGE_FOLDERS)]
    return [folders[key] for key in wanted if key in folders]


def _only_beside(path: Path, top: Path, folders: Mapping[tuple[str, ...], Path]) -> list[Path]:
    """The folder of any name, such as ``Photos 2023``, that is the only one beside the file's folder of masks."""
    parts = _folded(path.parent, top)
    found = []
    for index, part in enumerate(parts):
        if part in MASK_FOLDERS:
            beside = [
                key
                for key in folders
                if len(key) == len(parts)
                and (key[:index], key[index + 1 :]) == (parts[:index], parts[index + 1 :])
                and not (key[index] in MASK_FOLDERS or "mask" in key[index])
            ]
            found += [folders[beside[0]]] if len(beside) == 1 else []
    return found


def _folded(folder: Path, top: Path) -> tuple[str, ...]:
    return tuple(part.casefold() for part in folder.relative_to(top).parts)


def _is_companion(path: Path, by_stem: Mapping[tuple[Path, str], list[Path]]) -> bool:
    match = _COMPANION.fullmatch(path.stem)
    return match is not None and (path.parent, match.group(1).casefold()) in by_stem
