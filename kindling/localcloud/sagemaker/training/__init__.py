"""Training jobs: what a request asks for, the data that its hosts get, and its run from start to model.tar.gz."""
