# SPDX-License-Identifier: MIT
"""The experiments: each module holds one or more subclasses of Experiment, see experiment.py."""
