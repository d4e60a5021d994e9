"""One training over several processes: process group, averaging of losses, sharded weights."""
