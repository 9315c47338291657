"""Sound by the index of its clip: decoded as it comes, from a cache, a pack or shards."""
