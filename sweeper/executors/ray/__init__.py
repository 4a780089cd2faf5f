"""Ray: started for one run, or joined as a cluster that already runs.

The only folder that imports Ray. Owns its daemons, nodes, tokens and Tune's hooks. Does not decide which trial is next.
"""
