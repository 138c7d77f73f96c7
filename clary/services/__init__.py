"""The platform's own helper processes: started by the server, outliving it, adopted by the next server."""
