"""Finding and watching target processes through /proc. Knows nothing of ELF or BPF."""
