"""The kinds: what each custom resource means in the cloud."""
