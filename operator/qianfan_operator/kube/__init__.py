"""The Kubernetes API server: client, events, leader election, reviews."""
