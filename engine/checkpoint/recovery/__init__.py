"""What is done about a crash, damage or a lost catalog."""
