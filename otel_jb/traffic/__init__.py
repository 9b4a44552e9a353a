"""Real RTP traffic over loopback for the demo and the tests: a lossy relay, and FFmpeg as sender and receiver."""
