"""hemocast training: simulated patients, the dual-task network, and the bundle the service serves.

Research use only, trained on simulated data, not a medical device.
"""

__version__ = "0.4.2"

DISCLAIMER = "Research use only, trained on simulated data, not a medical device."
