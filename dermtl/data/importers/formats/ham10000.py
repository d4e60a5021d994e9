"""HAM10000: ``HAM10000_metadata`` and the pictures in two folders or one; the lesion masks, where they are.

``label`` is ``dx``: akiec, bcc, bkl, df, mel, nv, vasc; copies that write it out keep their words.

Source: Tschandl, Rosendahl, Kittler 2018, doi 10.1038/sdata.2018.161.
"""

from dermtl.data.importers.metadata_table import MetadataTable

importer = MetadataTable(
    "ham10000",
    "HAM10000_metadata.csv with image_id, lesion_id, dx",
    columns=("lesion_id", "image_id", "dx"),
    image="image_id",
    label=("dx",),
)
