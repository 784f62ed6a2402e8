# Everything a person or a machine does with this project. `make demo` shows what it is
# for, `make test` proves it.

GO       ?= go
GOLANGCI := v2.15.0
NFPM     := v2.48.0
FUZZTIME ?= 1m
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null)
TOOLS    := $(CURDIR)/.cache/bin

# Without git, the programs say what the go command knows of their version.
LDFLAGS  := -s -w $(if $(VERSION),-X github.com/ftpalg/ftpalg/cmd/internal/version.version=$(VERSION))

# What `make package` builds for, and how.
ARCHES ?= amd64 arm64
BUILD_PACKAGE = GO='$(GO)' NFPM=$(TOOLS)/nfpm-$(NFPM) LDFLAGS='$(LDFLAGS)' deploy/packaging/build.sh

# Debian packages: what the lab runs, and what the tests want beside it, the last two for
# the race detector. Those of BESIDE cannot be installed where vsftpd is, or would begin to
# guard the machine: they are unpacked to .cache/deb/PACKAGE, where deploy/lab finds them.
LAB    := nftables conntrack iproute2 vsftpd lftp curl nmap tcpdump
TESTS  := tnftp ncftp wget python3 python3-pyftpdlib tshark tmux systemd iptables \
          dbus-daemon python3-dbus python3-gi python3-firewall python3-nftables \
          shorewall-core bc perl gcc libc6-dev
BESIDE := proftpd-core pure-ftpd firewalld ufw shorewall shorewall6
# What starts a guest, and its kernel, which is unpacked alike and never installed.
GUEST  := qemu-system-x86 busybox-static kmod xz-utils
KERNEL := linux-image-amd64

.PHONY: build demo test test-programs test-vm test-report lint fuzz docs package package-again test-package clean packages go

build: go
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/ftpalg ./cmd/ftplab

demo: PACKAGES := $(LAB)
demo: packages build
	bin/ftplab demo

test: PACKAGES := $(LAB) $(TESTS)
test: UNPACKED := $(BESIDE)
test: packages build
	$(GO) vet ./...
	$(GO) test -race -timeout 20m ./...

# Every FTP server of the lab with every client, in every way. `make test` has a part of it.
test-programs: PACKAGES := $(LAB) $(TESTS)
test-programs: UNPACKED := $(BESIDE)
test-programs: packages go
	$(GO) test $(TESTFLAGS) -timeout 60m -run TestPrograms ./cmd/ftpalg -programs all

# The tests of what meets the kernel, on Debian's own in a qemu guest: it has what the one at
# hand may lack. VMTESTS=some is what ends within a few minutes; .cache/vm/out has the logs.
VMTESTS     ?= all
VM_PACKAGES := nft/queue conntrack nft cmd/ftpalg cmd/ftpalg/internal/check
test-vm: PACKAGES := $(LAB) $(TESTS) $(GUEST)
test-vm: UNPACKED := $(BESIDE) $(KERNEL)
test-vm: packages build
	@set -e; for p in $(VM_PACKAGES); do \
		CGO_ENABLED=0 $(GO) test -c -o .cache/vm/$$(echo $$p | tr / -).test ./$$p; \
	done
	deploy/vm/run -t 5400 -o .cache/vm/out deploy/vm/tests $(VMTESTS)

# The page of `ftplab demo --html` in a real browser. With TESTFLAGS='-artifacts
# -outputdir DIR', its pictures stay.
test-report: PACKAGES := chromium
test-report: packages go
	$(GO) test $(TESTFLAGS) -run Chromium ./cmd/ftplab/internal/report

lint: go $(TOOLS)/golangci-lint-$(GOLANGCI)
	$(TOOLS)/golangci-lint-$(GOLANGCI) fmt --diff
	$(TOOLS)/golangci-lint-$(GOLANGCI) run
	$(GO) mod tidy -diff

$(TOOLS)/golangci-lint-$(GOLANGCI):
	GOBIN=$(TOOLS) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI)
	mv $(TOOLS)/golangci-lint $@

# Every fuzz target of every package, a minute each.
fuzz: go
	@set -e; for p in $$($(GO) list ./...); do \
		for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
			echo "== $$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s $$p; \
		done; \
	done

# .deb, .rpm, .apk and a tarball for each of ARCHES, in bin/package.
package: go $(TOOLS)/nfpm-$(NFPM)
	rm -rf bin/package
	@set -e; for a in $(ARCHES); do $(BUILD_PACKAGE) $$a '$(VERSION)' bin/package; done

# Two builds of a commit give the same bytes: the second is made elsewhere, without git.
package-again: package
	@set -e; again=$$(mktemp -d); trap 'rm -rf $$again' EXIT; \
	git diff --quiet HEAD || { echo 'make: what is not committed cannot be built again' >&2; exit 1; }; \
	mkdir $$again/tree; git archive HEAD | tar -x -C $$again/tree; \
	export SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct); \
	for a in $(ARCHES); do (cd $$again/tree && $(BUILD_PACKAGE) $$a '$(VERSION)' $$again/package >/dev/null); done; \
	(cd bin/package && sha256sum *) >$$again/sums; cd $$again/package && sha256sum -c $$again/sums

# The .deb on a fresh Debian: installed, started, upgraded, removed, in namespaces.
test-package: PACKAGES := debootstrap systemd-container
test-package: ARCHES = $(shell dpkg --print-architecture)
test-package: packages .cache/debian/bookworm package
	deploy/packaging/test.sh bin/package/*_$(ARCHES).deb .cache/debian/bookworm

.cache/debian/bookworm:
	rm -rf $@.new; mkdir -p $(@D)
	debootstrap --variant=minbase --include=systemd-sysv,dbus,nftables $(@F) $@.new
	mv $@.new $@

$(TOOLS)/nfpm-$(NFPM):
	GOBIN=$(TOOLS) $(GO) install github.com/goreleaser/nfpm/v2/cmd/nfpm@$(NFPM)
	mv $(TOOLS)/nfpm $@

# The documents that are made from the code. Their tests fail when they are stale.
docs: go
	$(GO) test ./cmd/ftpalg/internal/config -run TestReferenceIsCurrent -update
	$(GO) test ./cmd/ftpalg ./cmd/ftplab -run TestManualIsCurrent -update

clean:
	rm -rf bin .cache

go:
	@command -v $(GO) >/dev/null || { echo 'make: this needs Go 1.26 or later: https://go.dev/dl/' >&2; exit 1; }

# Installs what is missing, and nothing else: PACKAGES, and the libraries of what is
# UNPACKED. Debian starts a freshly installed vsftpd; the lab starts its own, so that one is
# stopped again.
packages:
	@missing=$$(for p in $(PACKAGES); do \
		dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q ' installed' || echo $$p; done); \
	unpack=$$(for p in $(UNPACKED); do [ -d .cache/deb/$$p ] || echo $$p; done); \
	[ -n "$$missing$$unpack" ] || exit 0; \
	[ "$$(id -u)" = 0 ] || { echo "make: as root, make packages PACKAGES='"$$missing"' UNPACKED='"$$unpack"'" >&2; exit 1; }; \
	set -e; \
	apt-get update -q; \
	[ -z "$$unpack" ] || missing="$$missing $$(apt-cache depends -i $$unpack | sed -n 's/.*Depends: \(lib.*\)/\1/p')"; \
	echo "installing" $$missing; \
	DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $$missing; \
	case "$$missing" in *vsftpd*) [ ! -d /run/systemd/system ] || systemctl disable -q --now vsftpd;; esac; \
	for p in $$unpack; do \
		echo "unpacking $$p into .cache/deb"; \
		new=.cache/deb/$$p.new; rm -rf $$new; mkdir -p $$new; \
		from=$$p; [ $$p != $(KERNEL) ] || from=$$(apt-cache depends $$p | sed -n 's/.*Depends: //p'); \
		(cd $$new && apt-get download -q -o APT::Sandbox::User=root $$from && dpkg -x ./*.deb . && rm ./*.deb); \
		mv $$new .cache/deb/$$p; \
	done
