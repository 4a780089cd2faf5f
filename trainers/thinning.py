"""How many points of a long curve a tracking store shows, for any trainer. Chooses steps alone."""

POINTS_A_KEY = 200


def stride(target: int) -> int:
    """Return the smallest power of two that divides the steps 0..`target` into at most `POINTS_A_KEY` spans."""
    width = 1
    while target // width + 1 > POINTS_A_KEY:
        width *= 2
    return width
