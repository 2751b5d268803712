"""What revision 0001 makes, a module for each slice; history, never changed."""
