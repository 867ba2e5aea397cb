"""Processing jobs: what a request asks for, the folders of its hosts, and its run from inputs to outputs."""
