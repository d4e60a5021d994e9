"""What the colour samples of a DICOM file are, where its Photometric Interpretation contradicts them."""

from typing import Any

_LOSSY_JPEG = frozenset({"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"})
_FRAMES_OF_JPEG = frozenset({0xC0, 0xC1, 0xC2})  # SOF0 to SOF2: Huffman-coded DCT, as the two syntaxes hold
_NO_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})  # markers that stand alone


def colour_space(dataset: Any) -> str:
    """The Photometric Interpretation that fits the pixels.

    Two wrong labels are known from archives and show in the data: ``RGB`` over a JPEG with fewer samples of two
    components, which no RGB has, is ``YBR_FULL_422``; ``YBR_FULL_422`` over native pixels with three whole planes of
    samples is ``YBR_FULL``. Every other label is returned as it stands.

    Args:
        dataset: A pydicom data set with its pixels.
    """
    label = str(dataset.PhotometricInterpretation)
    syntax = dataset.file_meta.TransferSyntaxUID
    if label == "RGB" and str(syntax) in _LOSSY_JPEG and _is_subsampled(_first_frame(dataset)):
        return "YBR_FULL_422"
    whole = 3 * int(dataset.Rows) * int(dataset.Columns) * int(dataset.BitsAllocated) // 8
    if label == "YBR_FULL_422" and not syntax.is_compressed and len(dataset.PixelData) >= whole:
        return "YBR_FULL"
    return label


def _first_frame(dataset: Any) -> bytes:
    from pydicom.encaps import get_frame

    return bytes(get_frame(dataset.PixelData, 0, number_of_frames=1))


def _is_subsampled(jpeg: bytes) -> bool:
    """Whether a JPEG's components differ in their sampling factors. Source: ITU-T T.81, B.2.2."""
    at = 2
    while at + 4 <= len(jpeg) and jpeg[at] == 0xFF:
        marker = jpeg[at + 1]
        if marker == 0xFF or marker in _NO_LENGTH:
            at += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if marker in _FRAMES_OF_JPEG:
            num = jpeg[at + 9]
            return len({jpeg[at + 11 + 3 * index] for index in range(num)}) > 1
        at += 2 + length
    return False
