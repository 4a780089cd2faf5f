"""Slurm as an executor: array jobs whose elements are worker slots. No process has to stay.

Owns the submissions, the words of sbatch, squeue, scontrol and scancel, and the slot that a job runs. Slurm decides
when and where a slot runs. Prints nothing but the log of a slot.
"""
