"""From the portal to typed Arrow batches: paging, packing, decoding, and the loop where they meet."""
