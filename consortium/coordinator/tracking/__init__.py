"""Trackers: programs in which a group follows its runs, told the released figures of each round."""
