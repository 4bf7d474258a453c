"""Which object is reconciled, and when: informer, event handler, work queue, workers."""
