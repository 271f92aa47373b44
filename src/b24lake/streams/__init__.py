"""What can be read, declared as data: the streams, their columns, and what one portal has of them."""
