"""Pages of the manual that are made from the code: ``python3 dev.py docs``."""
