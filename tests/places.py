"""Where the checkout stands, for tests that read its own files."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
