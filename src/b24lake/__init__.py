"""Bitrix24 as a data source: everything in a portal, in Delta Lake tables."""

__version__ = "0.1.0"
