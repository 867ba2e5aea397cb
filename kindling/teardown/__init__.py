"""Taking a deployment away so that nothing of it goes on costing money, and finding what runs have left."""
