"""Tables of pictures: reading, grouping, splitting, checking, making. Knows kinds, but no head and no network."""
