"""The data sets: finding, checking, converting and mapping them."""
