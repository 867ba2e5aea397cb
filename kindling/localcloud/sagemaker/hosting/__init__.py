"""Models, endpoint configurations, and endpoints that serve them."""
