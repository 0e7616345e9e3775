"""Terms of a loss: each is a number of nats per example, computed from one Trace."""
