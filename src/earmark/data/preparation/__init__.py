"""What is done to a corpus before it is read: fetched, checked, listed and packed."""
