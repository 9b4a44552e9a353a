"""Call stacks of slow calls: walked from copied memory, and named."""
