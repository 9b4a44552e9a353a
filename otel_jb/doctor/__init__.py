"""Whether this machine and a target can be measured, and the remedy where not."""
