"""Read file formats within limits: rows, chats, markup, archives, medical images."""
