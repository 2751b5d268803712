"""What revision 0004 makes, a module for each slice; history, never changed."""
