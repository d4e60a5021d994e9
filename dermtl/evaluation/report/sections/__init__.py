"""One module for every section of the report, and a template of the same name."""
