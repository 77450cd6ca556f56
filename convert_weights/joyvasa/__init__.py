"""Conversion of JoyVASA: its denoiser, HuBERT, and the cases that compare them."""
