"""How older tables become today's. A revision that was released is never changed."""
