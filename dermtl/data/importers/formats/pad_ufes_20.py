"""PAD-UFES-20: smartphone pictures; ``metadata.csv`` and three folders of PNG files.

``label`` is ``diagnostic``: ACK, BCC, MEL, NEV, SCC, SEK. ``img_id`` holds the file's name with its suffix.

Source: Pacheco et al. 2020, doi 10.1016/j.dib.2020.106221.
"""

from dermtl.data.importers.metadata_table import MetadataTable

importer = MetadataTable(
    "pad_ufes_20",
    "PAD-UFES-20: metadata.csv with patient_id, lesion_id, diagnostic, img_id",
    columns=("patient_id", "lesion_id", "diagnostic", "img_id"),
    image="img_id",
    label=("diagnostic",),
)
