"""A hook of MkDocs: what the theme leaves out for readers with a keyboard or a screen reader.

`docs/site.js` does the same for what the theme makes in the browser. Changes no text.
"""

import re

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.pages import Page

_SEARCH = '<div class="md-search" data-md-component="search" role="dialog">'
_CODE = re.compile(r"<pre>(?=(?:<span></span>)?<code)")
_EMPTY_HEAD = re.compile(r"<th([^>]*)></th>")


def on_post_template(output_content: str, template_name: str, config: MkDocsConfig) -> str:
    """Name the search of the page for addresses that do not exist."""
    return _searched(output_content)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Name the search, let a keyboard reach wide code and formulas, and make a head without words a plain cell."""
    output = _searched(output)
    output = output.replace('<div class="formula">', '<div class="formula" tabindex="0">')
    output = _CODE.sub('<pre tabindex="0">', output)
    return _EMPTY_HEAD.sub(r"<td\1></td>", output)


def _searched(output: str) -> str:
    return output.replace(_SEARCH, _SEARCH.replace(">", ' aria-label="Search">'))
