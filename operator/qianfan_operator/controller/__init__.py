"""Which object is reconciled, and when: the informer, its events, the work queue, and the workers."""
