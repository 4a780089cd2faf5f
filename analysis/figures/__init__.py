"""One file a kind of figure: `*_info` computes, `draw_*` draws."""
