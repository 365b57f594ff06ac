"""What was found and missed: words, and colours that the colour-blind tell apart, too, on grey and on dark ground.

The colours are of Okabe and Ito's set (https://jfly.uni-koeln.de/color).
"""

from __future__ import annotations

from ...core.evaluation import FALSE_ALARM, HIT, MISS

__all__ = ["KINDS"]

KINDS = {
    HIT: ("#0072b2", "road, found"),
    MISS: ("#d55e00", "road, missed"),
    FALSE_ALARM: ("#f0e442", "called road by mistake"),
}
"""Colour and label of each kind of pixel that holds a road, or is called one."""
