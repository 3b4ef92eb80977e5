"""Genome-scale screening with deep learning: the library that the scripts share.

Coordinates are 0-based half-open everywhere. The modules fall in two halves that never import
each other's heavy libraries: the genome half (pysam, pybedtools) turns files into plain arrays and
tables, the tensor half (torch) turns arrays into models, scores and metrics.
"""

__version__ = "0.1.0"
