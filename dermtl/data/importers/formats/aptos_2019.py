"""APTOS 2019: fundus photographs graded 0 to 4 for diabetic retinopathy; ``train.csv`` and ``train_images``.

``label`` is the grade. ``test.csv`` holds no grades, so its pictures stand in no row.

Source: APTOS 2019 Blindness Detection, kaggle.com/c/aptos2019-blindness-detection/data.
"""

from dermtl.data.importers.metadata_table import MetadataTable

importer = MetadataTable(
    "aptos_2019",
    "APTOS 2019: train.csv with id_code, diagnosis",
    columns=("id_code", "diagnosis"),
    image="id_code",
    label=("diagnosis",),
)
