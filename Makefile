# Two commands do all on a fresh Debian 12: `make run` and `make test`. `make help` lists the rest.
BUILD ?= build
PREFIX ?= /usr
DESTDIR ?=
ROLES = $(patsubst src/role/%/main.c,%,$(wildcard src/role/*/main.c))
MESON_SETUP = meson setup $(BUILD) --prefix=$(PREFIX) --sysconfdir=/etc --localstatedir=/var

.PHONY: all run test bench demo install deb soak clean help packages-build packages-test packages-bench packages-soak

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD)
	@scripts/web $(BUILD)

$(BUILD)/build.ninja:
	@command -v meson >/dev/null || { echo "meson is missing: run 'make packages-build' first (or 'make run', which does all)"; exit 1; }
	@$(MESON_SETUP) >$(BUILD).setup.log 2>&1 || { cat $(BUILD).setup.log; rm -f $(BUILD).setup.log; exit 1; }
	@rm -f $(BUILD).setup.log

packages-build packages-test packages-bench packages-soak: packages-%:
	@scripts/packages $*

# Only what runs: tests are built when they are wanted.
run: packages-build $(BUILD)/build.ninja
	@ninja -C $(BUILD) --quiet holdfast $(ROLES:%=holdfast-%)
	@scripts/web $(BUILD)
	@scripts/run

demo: packages-test all
	@/usr/bin/python3 scripts/demo

test: packages-test
	@scripts/test

soak: packages-soak
	@HOLDFAST_SOAK=1 scripts/test

bench: packages-bench all
	@/usr/bin/python3 tests/bench/bench.py

install: all
	@DESTDIR=$(DESTDIR) meson install -C $(BUILD) --no-rebuild --quiet
	@echo "installed below $(DESTDIR)$(PREFIX)"

deb: packages-test
	@scripts/web build
	@scripts/deb

clean:
	@rm -rf $(BUILD) build-*

help:
	@echo "make run      install packages, build, start Holdfast on loopback with a demonstration configuration"
	@echo "make test     install what tests need, run every suite; the last line is 'N passed, N failed'"
	@echo "make          build only (into $(BUILD)/)"
	@echo "make demo     an outage and its end, told on the terminal in about a minute"
	@echo "make bench    measure against Postfix and smtp-sink in the same run"
	@echo "make soak     the suites at full count (hours)"
	@echo "make install  DESTDIR= PREFIX=$(PREFIX)"
	@echo "make deb      build the Debian package"
