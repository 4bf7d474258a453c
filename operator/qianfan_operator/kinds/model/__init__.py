"""QianfanModel: publishing."""
