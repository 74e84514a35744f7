"""Documents, from files and from Debian's documentation packages."""
