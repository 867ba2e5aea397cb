"""Machine translation by fairseq: trains, serves, converts."""
