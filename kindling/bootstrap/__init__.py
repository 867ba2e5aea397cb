"""Making an account ready, and telling whether it is: `kindling bootstrap`, `kindling doctor` (docs/bootstrap.md)."""
