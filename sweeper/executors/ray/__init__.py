"""Ray: started for one run, or joined as a cluster that was there before."""
