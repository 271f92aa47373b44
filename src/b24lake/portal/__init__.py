"""The Bitrix24 REST API: addresses, limits, replies. Knows no stream and no table."""
