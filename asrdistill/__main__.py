import sys

from asrdistill.cli import main

sys.exit(main())
