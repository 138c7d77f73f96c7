"""What the server process does beside answering and reconciling: its port, its services, its status, its end."""
