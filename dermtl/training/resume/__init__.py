"""``--resume``: what is stored of a training, and what is compared before it continues."""
