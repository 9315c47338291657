"""What a run begins with: random weights, or those of a known model fitted to other clips and classes."""
