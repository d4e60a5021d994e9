"""From the layouts in which data sets are handed out to one manifest. One file an importer, found by entry point.

An importer reads and writes nothing else: paths, missing files, drawn pictures, the manifest and its lock are
:mod:`dermtl.data.importers.ingest`'s part.
"""
