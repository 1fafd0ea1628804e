"""Where bytes are kept: local files that survive a power cut, and objects in object storage."""
