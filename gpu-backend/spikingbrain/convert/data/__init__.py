"""What training reads: documents (`text/`), chats and conversations as tokens, and the batches drawn from them."""
