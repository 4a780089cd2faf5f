"""The bridge to `analysis`: the only part of sweeper, besides the commands, that imports it."""
