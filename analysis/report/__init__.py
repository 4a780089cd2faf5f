"""One report, or the page of all of them, put together and written."""
