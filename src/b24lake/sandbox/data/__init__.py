"""What the portal holds: columns, rows made on demand, and the texts they are made of."""
