"""`python -m doctools`: write what is generated in docs/."""

import sys

from doctools.generated import write_all

if __name__ == "__main__":
    sys.stdout.writelines(f"{name}\n" for name in write_all())
