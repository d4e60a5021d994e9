"""From a table or folders to records, their groups and their sides. Opens pictures only in the preflight."""
