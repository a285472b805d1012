# SPDX-License-Identifier: MIT
#
# Packages: a source tarball, Debian packages, RPMs.

DIST      := socktune-$(VERSION)
# The time of every file in the tarball: that of the last change, in a checkout.
DIST_TIME := $(or $(SOURCE_DATE_EPOCH),$(shell git log -1 --format=%ct 2>/dev/null),$(shell stat -c %Y tools/VERSION))
dist_list  = (git ls-files 2>/dev/null || find . -name .git -prune -o -path ./$(B) -prune -o \( -type f -o -type l \) -print | sed 's|^\./||') | sort

## make dist             build/socktune-VERSION.tar.gz: builds without git, the same bytes each time
.PHONY: dist
dist:
	$(Q)rm -rf $(B)/dist && mkdir -p $(B)/dist/$(DIST)/LICENSES
	$(Q)$(dist_list) | grep -v '^LICENSES/' | tar -c -T - | tar -x -C $(B)/dist/$(DIST)
	$(Q)cp COPYING $(B)/dist/$(DIST)/LICENSES/MIT.txt
	$(Q)chmod -R u=rwX,go=rX $(B)/dist/$(DIST)
	$(Q)tar -C $(B)/dist --sort=name --mtime=@$(DIST_TIME) --owner=0 --group=0 --numeric-owner \
	    --format=gnu -c $(DIST) | gzip -9 -n >$(B)/$(DIST).tar.gz
	$(call say,TAR,$(B)/$(DIST).tar.gz)

## make deb              Debian packages in build/deb: libsocktune, socktune, socktuned, debug symbols
.PHONY: deb
deb: dist
	$(packages) $(PACKAGES_DEB)
	rm -rf $(B)/deb && mkdir -p $(B)/deb
	cp $(B)/$(DIST).tar.gz $(B)/deb/socktune_$(VERSION).orig.tar.gz
	tar -xzf $(B)/$(DIST).tar.gz -C $(B)/deb
	cp -a $(B)/deb/$(DIST)/tools/package/debian $(B)/deb/$(DIST)/debian
	cd $(B)/deb/$(DIST) && env -u MAKEFLAGS -u MFLAGS dpkg-buildpackage -us -uc -b -d

## make rpm              RPMs in build/rpm
.PHONY: rpm
rpm: dist
	$(packages) $(PACKAGES_RPM)
	rm -rf $(B)/rpm && mkdir -p $(B)/rpm
	sed 's/@VERSION@/$(VERSION)/' tools/package/socktune.spec.in >$(B)/rpm/socktune.spec
	env -u MAKEFLAGS -u MFLAGS rpmbuild --quiet -bb --nodeps --define '_topdir $(abspath $(B))/rpm' \
	    --define '_sourcedir $(abspath $(B))' $(RPM_DEFINES) $(B)/rpm/socktune.spec
