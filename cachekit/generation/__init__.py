"""Videos from prompts: requests, folders, manifests."""
