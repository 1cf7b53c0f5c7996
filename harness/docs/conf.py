# SPDX-License-Identifier: GPL-2.0-only
"""Sphinx configuration of harness/docs.sh: our pages with the kernel's extensions."""

import os
import sys

sys.path.insert(0, os.path.join(os.environ["TREE"], "Documentation", "sphinx"))

project = "KVM introspection"
# The sections of events.rst and commands.rst are named alike on purpose.
extensions = ["kerneldoc", "automarkup"]
primary_domain = "c"
highlight_language = "none"
html_theme = "alabaster"
html_copy_source = False
# Attributes of the headers that Sphinx does not parse by itself.
c_id_attributes = ["__aligned"]
