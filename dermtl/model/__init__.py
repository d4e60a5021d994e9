"""The network: a timm backbone, heads from plugins, and their weights on disk. torch begins here."""
