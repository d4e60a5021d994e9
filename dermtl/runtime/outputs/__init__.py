"""What predictions are written to: a file of rows, and sinks for everything that is one file for each picture.

Commands, servers and cluster jobs build them and call
:func:`~dermtl.runtime.outputs.predict_files.predict_files`.
"""
