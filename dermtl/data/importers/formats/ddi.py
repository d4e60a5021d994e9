"""Diverse Dermatology Images: ``ddi_metadata.csv`` and the PNG files beside it.

``label`` is ``malignant`` (True, False), the question of the paper; ``disease`` and ``skin_tone`` stay beside it.

Source: Daneshjou et al. 2022, doi 10.1126/sciadv.abq6147.
"""

from dermtl.data.importers.metadata_table import MetadataTable

importer = MetadataTable(
    "ddi",
    "ddi_metadata.csv with DDI_file, skin_tone, malignant, disease",
    columns=("DDI_file", "skin_tone", "malignant", "disease"),
    image="DDI_file",
    label=("malignant",),
)
