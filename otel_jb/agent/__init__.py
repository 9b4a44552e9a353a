"""The running agent: its loop, the governor, the service around it, recording and replay."""
