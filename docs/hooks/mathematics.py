"""A hook of MkDocs: formulas become MathML when the site is built, which browsers show without a script or a font.

A page writes a formula in LaTeX as GitHub reads it: a block in a fence named `math`, and inside a line between `` $` ``
and `` `$ ``. Knows no formula itself.
"""

import html
import re
from typing import Any

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

_INLINE = re.compile(r"\$<code>(.*?)</code>\$", re.DOTALL)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Read fences named `math` as formulas."""
    fences = config.mdx_configs.setdefault("pymdownx.superfences", {}).setdefault("custom_fences", [])
    fences.append({"name": "math", "class": "math", "format": _block})
    return config


def on_page_content(content: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn the formulas inside lines into MathML."""
    return _INLINE.sub(lambda found: convert(html.unescape(found[1])), content)


def _block(source: str, *_: Any, **__: Any) -> str:
    return f'<div class="formula">{convert(source, display="block")}</div>'
