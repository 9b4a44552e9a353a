"""Reading what the kernel counted."""
