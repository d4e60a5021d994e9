"""Which pictures are copies of one another, and a page to judge those that only look alike."""
