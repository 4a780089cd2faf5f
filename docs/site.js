// What the theme makes in the browser gets a name for screen readers, and wide tables can be scrolled by keyboard.
let blocks = 0;
const complete = () => {
  for (const nav of document.querySelectorAll(".md-code__nav:not([aria-label])")) {
    nav.setAttribute("aria-label", `Code block ${++blocks}`);
  }
  for (const wide of document.querySelectorAll(".md-typeset__scrollwrap:not([tabindex])")) {
    wide.setAttribute("tabindex", "0");
  }
};
new MutationObserver(complete).observe(document.body, {childList: true, subtree: true});
complete();
