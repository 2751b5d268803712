"""The figures that this project promises, each measured by one command."""
