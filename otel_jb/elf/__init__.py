"""What an ELF file tells: its image, symbols, debug files, imports. Knows nothing of processes or BPF."""
