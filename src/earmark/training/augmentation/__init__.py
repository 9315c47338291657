"""Random changes of clips: of waveforms, of spectrograms, and mixtures of two."""
