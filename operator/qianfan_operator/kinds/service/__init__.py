"""QianfanService: serving."""
