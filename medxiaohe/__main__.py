"""`python -m medxiaohe` is the command `medxiaohe`."""

import sys

from medxiaohe.cli import main

sys.exit(main())
