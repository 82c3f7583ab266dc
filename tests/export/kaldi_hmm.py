"""Read a transition model of three monophones with kaldi-hmm-gmm: python kaldi_hmm.py MODEL TREE.

Prints as JSON what it holds, and writes Kaldi's tree of such phones. A program of its own: in one process with
kaldifst, which brings a copy of OpenFst as well, the import waits for ever.
"""

import json
import re
import sys
from pathlib import Path

import kaldi_hmm_gmm as khg

text = Path(sys.argv[1]).read_text()
topology, tree = khg.HmmTopology(), khg.monophone_context_dependency([1, 2, 3], [-1, 5, 3, 3])
topology.read(text[text.index("<Topology>") : text.index("<Triples>")])
model = khg.TransitionModel(tree, topology)
tree.write(False, sys.argv[2])
found = {
    "tuples": [[int(n) for n in re.findall(r"=(\d+)", str(found))[:3]] for found in model.tuples],
    "self_loops": [bool(model.is_self_loop(number)) for number in range(1, len(model.log_probs))],
    "log_probs": len(model.log_probs),
}
print(json.dumps(found))
