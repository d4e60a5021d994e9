"""Before a training: are there pictures whose numbers mean something else than they seem to?"""

import logging
from collections import Counter
from collections.abc import Sequence

import numpy as np

from dermtl.errors import DermtlError
from dermtl.imaging.decode import read_header, read_image
from dermtl.imaging.depth import FEW_LEVELS, is_wide, narrow_bits
from dermtl.kinds.record import Record
from dermtl.statistics.spread import spread

_log = logging.getLogger(__name__)
_HEADERS, _DECODED = 64, 16  # pictures, from all over the table, that are looked at


def tell_ranges(records: Sequence[Record]) -> None:
    """Log greys of 16 bits that use few of them, and colour profiles other than sRGB, as far as a sample shows them.

    Args:
        records: Records of a run, whose files can be read.
    """
    headers = []
    for record in spread(records, _HEADERS) if records else []:
        try:
            headers.append((record, read_header(record.path)))
        except DermtlError:
            continue
    wide = [record for record, header in headers if is_wide(header.mode)]
    dicom = [record for record, header in headers if is_wide(header.mode) and header.form == "DICOM"][:_DECODED]
    levels = [int(np.ptp(read_image(record.path))) + 1 for record in dicom]
    if few := [num for num in levels if num < FEW_LEVELS]:
        told = "%d of %d DICOM pictures of 16 bits that were looked at show %d of 256 levels at most: a window lacks"
        _log.warning(told, len(few), len(dicom), max(few))
    bits = [num for record in wide[:_DECODED] if (num := narrow_bits(record.path)) is not None]
    if bits:
        told = "%d of %d pictures of 16 bits that were looked at use %d bits at most and become nearly black"
        _log.warning(told + "; scale their values to the whole of 16 bits", len(bits), len(wide[:_DECODED]), max(bits))
    for profile, num in Counter(header.profile for _, header in headers if header.profile).items():
        told = "%d of %d pictures that were looked at have a colour profile %s; their numbers are used as they stand"
        _log.warning(told, num, len(headers), profile)
