"""Classical inverses of the blur, with the call shape of a network."""

from jxr.restoration.wiener import choose_noise_to_signal, transfer_function, wiener

__all__ = ["choose_noise_to_signal", "transfer_function", "wiener"]
