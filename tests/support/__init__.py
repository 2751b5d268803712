"""Real local servers and databases that the tests talk to."""
