"""One reconcile: what is known, what follows from it, what is done, and what is written."""
