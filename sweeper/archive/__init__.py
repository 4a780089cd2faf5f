"""Carrying results to another folder: the archive's format, export and import."""
