"""The kernel side: compile and load the BPF program, attach it, read what it counts. The only package that knows `bcc`."""
