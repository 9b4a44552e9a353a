"""Views of what is measured, for people: the terminal's table."""
