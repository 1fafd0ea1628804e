"""Storage of bytes: local files that survive a power cut, and objects in object storage."""
