# SPDX-License-Identifier: MIT
#
# Experiments with unmodified programs, and the report on them; see proof.py.

## make proof            what rules bring and cost: build/proof/report.md, with plots and CSV files
##                       (PROOF="NAME..." runs some experiments alone)
.PHONY: proof
proof:
	$(Q)$(packages) $(PACKAGES_PROOF)
	$(Q)$(MAKE) --no-print-directory all hosts $(bench_programs) $(B)/bench/empty.so
	$(Q)$(PYTHON) -B tests/proof/proof.py $(B) $(PROOF)
