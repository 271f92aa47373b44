"""The portal's methods. A new one is a decorated function in one of these modules."""
