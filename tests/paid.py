"""The calls of the cloud that are paid for: one for each kind."""

PAID = {"job": "createJob", "model": "publishTrainModel", "service": "apply"}
