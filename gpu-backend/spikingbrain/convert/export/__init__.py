"""What comes of a conversion, as files."""
