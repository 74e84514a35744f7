"""Where training text comes from: documents in files, Debian's documentation packages, and chats sampled from the teacher."""
