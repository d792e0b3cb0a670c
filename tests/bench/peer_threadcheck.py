"""A peer to compare with: threadcheck's dynamic checker, from the package index. Its command line leaves its own words in
`sys.argv`, where the programs look for their size; so it is called from here."""
import sys

from threadcheck.dynamic.__main__ import run_script

sys.argv = sys.argv[1:]
run_script(sys.argv[0])
