"""x"""
import torch
def spec_augment(features, *, freq_mask, time_mask, fill, shared=False, generator=None):
    for axis, most in ((1, freq_mask), (2, time_mask)):
        if most < 1: continue
        size = features.shape[axis]
        n = 1 if shared else len(features)
        width = torch.rand(n, generator=generator) * most
        start = torch.rand(n, generator=generator) * (size - width)
        first, last = start.long(), start.long() + width.long()
        index = torch.arange(size)[None]
        hit = (index >= first[:, None]) & (index < last[:, None])
        hit = hit[:, :, None] if axis == 1 else hit[:, None, :]
        features = features.masked_fill(hit.to(features.device), fill)
    return features
