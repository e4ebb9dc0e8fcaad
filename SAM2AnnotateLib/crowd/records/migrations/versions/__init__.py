"""One file a form of the tables. A file that was released is never changed."""
