"""asrdistill: distil a big acoustic model, or an ensemble of them, into a small one.

Symbols used in shapes throughout the package:

    B   batch
    T   frames (10 ms each unless a folder's meta.json says otherwise)
    F   feature dimension
    S   senones (tied HMM states, the classes that an acoustic model predicts)
    K   kept targets of a soft-target store
    U   utterances
"""

__version__ = "0.1.0"
