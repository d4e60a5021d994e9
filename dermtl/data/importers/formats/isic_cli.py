"""What ``isic image download`` leaves: ``<isic_id>.jpg``, ``metadata.csv`` and the licences.

``label`` is the finest diagnosis that stands in a row, unless the table has a column of this name; licence and
attribution are kept.

Source: the ISIC Archive's command line, github.com/ImageMarkup/isic-cli.
"""

from dermtl.data.importers.metadata_table import MetadataTable

importer = MetadataTable(
    "isic_cli",
    "a download of isic-cli: metadata.csv with isic_id",
    columns=("isic_id",),
    image="isic_id",
    label=("label", "diagnosis", "diagnosis_3", "diagnosis_2", "diagnosis_1", "benign_malignant"),
    depth=1,
)
