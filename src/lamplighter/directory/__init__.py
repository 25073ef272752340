"""Who people are and which rooms they share: the adapters of `ports.Directory`."""
