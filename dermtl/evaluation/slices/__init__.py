"""The same metrics by slices of the records: subgroups by columns, and lesions or patients as units."""
