"""A faithful Qianfan console for tests, demos and CI. Shares no code with the operator."""
