"""`python -m doctools`: write the generated files of docs/."""

import sys

from doctools.generated import write_all

if __name__ == "__main__":
    sys.stdout.writelines(f"{name}\n" for name in write_all())
