"""Archives that every later version has to read, and the script that made them."""
