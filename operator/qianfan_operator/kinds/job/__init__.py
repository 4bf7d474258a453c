"""QianfanJob: fine-tuning."""
