"""The Kubernetes API server: how it is reached, read and written."""
