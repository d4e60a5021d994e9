"""The layouts of published sets and annotation tools: one importer a file. Yields rows and writes nothing."""
