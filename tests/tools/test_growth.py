"""The text and the vocabulary of the benchmark of growth."""

import gzip

from growth import read

PAGE = """Coagulate \\Co*ag"u*late\\, v. t. [imp. & p. p. {Coagulated}; p.
   pr. & vb. n. {Coagulating}.]
   To cause (a liquid) to change; as, rennet coagulates
   {milk}. It's done.
   [1913 Webster]

   Obsolete
"""


def test_sentences_of_a_dictionary(tmp_path):
    path = tmp_path / "page.dict.dz"
    path.write_bytes(gzip.compress(PAGE.encode()))
    assert list(read([path, path]))[:5] == [
        "coagulate v",
        "to cause a liquid to change",
        "as rennet coagulates milk",
        "it's done",
        "coagulate v",
    ]
