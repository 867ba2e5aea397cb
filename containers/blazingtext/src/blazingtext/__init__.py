"""BlazingText-compatible word2vec: `python -m blazingtext train | serve`."""
