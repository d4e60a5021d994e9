"""SIIM-ISIC 2020: the ground truth, or the competition's ``train.csv``.

``label`` is ``benign_malignant``: ``diagnosis`` is unknown for most pictures.

Source: Rotemberg et al. 2021, doi 10.1038/s41597-021-00815-z.
"""

from dermtl.data.importers.metadata_table import MetadataTable

importer = MetadataTable(
    "siim_isic_2020",
    "ISIC_2020_Training_GroundTruth.csv or train.csv with image_name, patient_id, benign_malignant, target",
    columns=("image_name", "patient_id", "benign_malignant", "target"),
    image="image_name",
    label=("benign_malignant",),
)
