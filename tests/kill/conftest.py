"""Home folders that send to a relay, and a zygote for processes to be killed."""

from fakes.camp import besiege, camp, zygote

__all__ = ["besiege", "camp", "zygote"]
