"""The BPF programs: compiled, kept, filled in for each probe, loaded."""
