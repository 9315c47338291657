"""One model in several processes, or spread over them."""
