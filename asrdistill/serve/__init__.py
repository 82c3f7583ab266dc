"""Server: recognition by the protocols that existing clients speak."""
