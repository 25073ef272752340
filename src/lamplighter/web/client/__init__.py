"""What presence itself serves to clients: `/sync` and presence status."""
