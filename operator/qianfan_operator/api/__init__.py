"""The custom resources as the API server knows them: one module per kind, everything else is generated from here."""
