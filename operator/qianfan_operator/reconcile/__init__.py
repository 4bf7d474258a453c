"""One reconcile: gather facts, decide, act, write the status, requeue."""
