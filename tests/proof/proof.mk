# SPDX-License-Identifier: MIT
#
# Experiments with unmodified programs, and the report on them; see proof.py.

## make proof            what rules bring and cost: build/proof/report.md, with plots and CSV files
##                       (PROOF="NAME..." runs some experiments alone; "scale" or "trial" a family of them)
.PHONY: proof
proof:
	$(Q)$(packages) $(PACKAGES_PROOF)
	$(Q)$(MAKE) --no-print-directory all hosts $(bench_programs) $(B)/bench/empty.so $(B)/tests/unit
	$(Q)$(PYTHON) -B tests/proof/proof.py $(B) $(PROOF)
