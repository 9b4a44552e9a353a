"""What can be configured, where it comes from, and how it is read."""
