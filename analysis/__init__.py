"""From tracked runs to the tables and figures of a paper; pure functions over tidy frames."""
