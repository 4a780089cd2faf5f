"""What sweeper writes and analysis reads: names, records, and the questions of a sweep file."""
