"""What tests of linear layers share: values as they are stored, and how far off a sum may be."""

import numpy as np

from wse import numerics

# Largest relative error of one rounding to the storage type.
ROUNDING = {"f32": 1e-6, "f16": 2**-11, "bf16": 2**-8, "cb16": 2**-10}


def stored(policy, values):
    """Values as the policy stores them, in float64."""
    if policy.wide:
        return np.asarray(values, np.float32).astype(np.float64)
    return numerics.round16(values, policy.storage).astype(np.float64)


def bound(policy, terms):
    """What the sum of so many products of unit size may be off by: roundings of sums grow like their number."""
    unit = ROUNDING[policy.storage]
    sums = {"f32": 4e-6, "exact": unit, "mixed": unit * terms**0.5 / 2 + unit, "half": unit * terms}
    return 4 * sums[policy.products]
