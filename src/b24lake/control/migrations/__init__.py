"""How the database came to be as it is: one file a revision, each applied once and never changed after a release."""
