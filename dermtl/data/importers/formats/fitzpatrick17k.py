"""Fitzpatrick17k: clinical pictures of 114 conditions with the skin type; files are named by their MD5.

``label`` is the condition; ``nine_partition_label`` and ``three_partition_label`` stay beside it, and
``fitzpatrick_scale`` is -1 where no type was assigned. The pictures are fetched by the table's links, so some are
missing: ``--allow-missing``.

Source: Groh et al. 2021, arXiv 2104.09957; fitzpatrick17k.csv of github.com/mattgroh/fitzpatrick17k.
"""

from dermtl.data.importers.metadata_table import MetadataTable

importer = MetadataTable(
    "fitzpatrick17k",
    "fitzpatrick17k.csv with md5hash, fitzpatrick_scale, label",
    columns=("md5hash", "fitzpatrick_scale", "label"),
    image="md5hash",
    label=("label",),
)
