"""A hook of MkDocs: the files of the repository that pages link to become part of the site.

Sources link each other by their paths in the repository, so that the links work there too. A page that is linked and
lies outside docs/ is rendered, figures and tables are copied, and a link to source code becomes the path itself.
Does not generate text.
"""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

_LINK_OR_CODE = re.compile(
    r"""^(?P<fence>```|~~~).*?^(?P=fence)    # in code, what looks like a link is none
    |   ^(?:[ ]{4}|\t)[^\n]*
    |   `[^`\n]*`
    |   (?P<text>!?\[(?:[^\[\]]|\[[^\]]*\])*\])\((?P<target>[^)#:\s]+)(?P<anchor>\#[^)\s]*)?\)
    """,
    re.MULTILINE | re.DOTALL | re.VERBOSE,
)
_SHOWN = {".md", ".png", ".svg", ".csv", ".tex", ".pdf", ".json", ".html", ".yaml", ".yml", ".sh", ".cff", ".ipynb"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add every file that a page links to, and those which that file links to if it is a page."""
    root = Path(config.config_file_path).parent
    waiting = [f"docs/{file.src_uri}" for file in files.documentation_pages()]
    seen = set(waiting)
    while waiting:
        source = waiting.pop()
        for target in _targets(root, source):
            if target in seen or not _is_shown(root, target):
                continue
            seen.add(target)
            if not files.get_file_from_path(_site_path(target)):
                files.append(File.generated(config, _site_path(target), abs_src_path=str(root / target)))
            if target.endswith(".md"):
                waiting.append(target)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between files of the repository into links between files of the site."""
    root = Path(config.config_file_path).parent
    here = page.file.src_uri
    source = _source_of(root, here)

    def rewritten(found: re.Match[str]) -> str:
        if not found["target"]:
            return found[0]
        target = _resolved(source, found["target"])
        if _is_shown(root, target):
            path = posixpath.relpath(_site_path(target), posixpath.dirname(here) or ".")
            return f"{found['text']}({path}{found['anchor'] or ''})"
        if (root / target).exists():
            return f"{found['text'].strip('![]')} (`{target}`)"
        return found[0]  # MkDocs warns of it

    return _LINK_OR_CODE.sub(rewritten, markdown)


def _targets(root: Path, source: str) -> Iterator[str]:
    for found in _LINK_OR_CODE.finditer((root / source).read_text(encoding="utf-8")):
        if found["target"]:
            yield _resolved(source, found["target"])


def _resolved(source: str, target: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), target))


def _is_shown(root: Path, target: str) -> bool:
    return PurePosixPath(target).suffix in _SHOWN and (root / target).is_file()


def _site_path(target: str) -> str:
    """Return where a file of the repository is in the site: docs/ is its root, and the README its first page."""
    return "index.md" if target == "README.md" else target.removeprefix("docs/")


def _source_of(root: Path, site_path: str) -> str:
    inside = f"docs/{site_path}"
    return inside if (root / inside).exists() else site_path
